"""`manage.py changepassword`: like Django's, but with an option for the academy, within which names are unique."""

from typing import Any

from django.contrib.auth.management.commands.changepassword import Command as DjangoCommand
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from academy.adapters.db.django import repositories_core
from apps.core.models import User

MAX_TRIES = 3
MAX_SHOWN = 5
"""How many accounts an error message lists."""


class Command(DjangoCommand):
    help = "Change the password of an account, and end its sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--tenant", metavar="CODE", help="The code of the account's academy.")
        whose.add_argument("--operator", action="store_true", help="The account is an operator's, of no academy.")

    def handle(self, *_: Any, **options: Any) -> str:
        if not options["username"]:
            raise CommandError("Name the account: manage.py changepassword NAME --tenant CODE.")
        user = self._find(options["username"], options["tenant"], options["database"], operator=options["operator"])
        self.stdout.write(f"New password for {_called(user)}:")
        user.set_password(self._ask(user))
        user.save(using=options["database"], update_fields=["password"])
        return f"The password of {_called(user)} is changed, and its sessions are ended."

    @staticmethod
    def _find(username: str, tenant_code: str | None, database: str, *, operator: bool) -> User:
        """Return the account of this name. Raises CommandError if there is none, or if several have the name."""
        if operator or tenant_code is not None:
            found = repositories_core.account_in(tenant_code, username, database)
            if found is None:
                where = f"in the academy {tenant_code!r}" if tenant_code is not None else "among the operators"
                raise CommandError(f"There is no account {username!r} {where}.")
            return found
        named = repositories_core.accounts_named(username, database, limit=MAX_SHOWN + 1)
        if not named:
            raise CommandError(f"There is no account {username!r}.")
        if len(named) > 1:
            shown = ", ".join("--operator" if user.tenant is None else f"--tenant {user.tenant}" for user in named[:-1])
            last = "others" if len(named) > MAX_SHOWN else f"--tenant {named[-1].tenant}"
            raise CommandError(f"Several accounts are called {username!r}: say which one, by {shown} or {last}.")
        return named[0]

    def _ask(self, user: User) -> str:
        for _ in range(MAX_TRIES):
            password: str = self._get_pass()  # type: ignore[attr-defined] # no stub
            if password != self._get_pass("Password (again): "):  # type: ignore[attr-defined] # no stub
                self.stderr.write("The two passwords differ: type them again.")
                continue
            try:
                validate_password(password, user)
            except ValidationError as problem:
                self.stderr.write("\n".join(problem.messages))
            else:
                return password
        raise CommandError(f"The password of {_called(user)} is not changed: none of {MAX_TRIES} tries was taken.")


def _called(user: User) -> str:
    return f"the operator {user}" if user.tenant is None else f"{user} of the academy {user.tenant}"
