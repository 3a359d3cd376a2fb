"""`manage.py createsuperuser`: as Django's own, but checks that the name is new among operators."""

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand

from academy.adapters.db.django import repositories_core


class Command(DjangoCommand):
    def _validate_username(self, username: str, verbose_field_name: str, database: str) -> str | None:
        """Return what is wrong with the name, before a password is asked for.

        Django looks for a name that is taken only where all names are unique. Here academies may use the same name.
        """
        if repositories_core.operator_exists(username, database):
            return f"There is an operator {username!r} already: choose another name."
        problem: str | None = super()._validate_username(username, verbose_field_name, database)  # type: ignore[misc] # no stub
        return problem
