"""`manage.py realtime_outbox`: lists the rows of the outbox that were set aside, or lets the relays try them again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count

from realtime import conf
from realtime.outbox.claims import send_again, set_aside_rows


class Command(BaseCommand):
    help = (
        "Lists the rows of the outbox that can never be sent as they are, and why. With --send-again the relays try "
        "them again, as if they were new: do that after fixing the cause. Rows that are only late are not listed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="CODE", help="only the rows of this tenant")
        parser.add_argument("--kind", help="only the rows of this kind, such as record or queue")
        parser.add_argument("--most", type=int, default=20, metavar="N", help="list at most N rows (default: 20)")
        parser.add_argument(
            "--send-again", nargs="*", type=int, metavar="ID", help="send these rows again, or all without an id"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        rows = set_aside_rows(self._tenant(options["tenant"]), options["kind"])
        if (ids := options["send_again"]) is not None:
            number = send_again(rows.filter(pk__in=ids) if ids else rows)
            self.stdout.write(f"{number} rows are due again: a relay sends them within seconds.")
            return
        for kind, tenant_id, number in rows.order_by().values_list("kind", "tenant_id").annotate(Count("pk")):
            self.stdout.write(f"{number} of the kind {kind} of tenant {tenant_id}")
        for entry in rows[: options["most"]]:
            row = f"{entry.pk} {entry.kind} of tenant {entry.tenant_id}, {entry.failed_at:%Y-%m-%d %H:%M:%S %Z}"
            self.stdout.write(f"{row}, after {entry.attempts} tries: {entry.error}")
        if not rows.exists():
            self.stdout.write("No row is set aside.")

    @staticmethod
    def _tenant(code: str | None) -> int | None:
        if code is None:
            return None
        tenant_id = conf.source().tenant_id(code)
        if tenant_id is None:
            raise CommandError(f"There is no tenant {code!r}.")
        return tenant_id
