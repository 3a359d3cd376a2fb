"""`manage.py sweep_storage`: deletes files that nobody needs. The workers do the same once an hour."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from academy.adapters.db.django import repositories_core
from academy.leftovers import sweep_leftovers


class Command(BaseCommand):
    help = (
        "Deletes files that were left in the storage a day ago or earlier by processes that died: no row needs them. "
        "Video and AI workers do the same once an hour."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="CODE", help="the files of this academy only")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
        parser.add_argument(
            "--even-most",
            action="store_true",
            help="also delete files without a row where most files of an academy have none; "
            "without this they stay, since the database is then probably not the one that belongs to the storage",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        only, code = None, options["tenant"]
        if code is not None and (only := repositories_core.find_tenant_id(code)) is None:
            raise CommandError(f"There is no academy {code!r}.")
        names = sweep_leftovers(only=only, dry_run=options["dry_run"], even_most=options["even_most"])
        for name in names:
            self.stdout.write(name)
        self.stdout.write(f"{len(names)} {'would be' if options['dry_run'] else 'were'} deleted.")
