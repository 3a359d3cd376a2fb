"""`manage.py createsuperuser`: like Django's, but it checks that no other operator has the name."""

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand

from academy.adapters.db.django import repositories_core


class Command(DjangoCommand):
    def _validate_username(self, username: str, verbose_field_name: str, database: str) -> str | None:
        """Return what is wrong with the name, or None. Django calls this before it asks for a password.

        Django itself looks for another account with the name only if names are unique among all accounts. Here they
        are not: several academies may have accounts with the same name.
        """
        if repositories_core.operator_exists(username, database):
            return f"There is an operator {username!r} already: choose another name."
        problem: str | None = super()._validate_username(username, verbose_field_name, database)  # type: ignore[misc] # no stub
        return problem
