"""`manage.py tenant_quota CODE`: shows what an academy uses of its quotas, and sets its own limits."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_quotas import set_limits
from academy.quotas import GIGABYTE, usage_of

DEFAULT = "default"
MOST = {"quota_jobs": 2**31 - 1, "quota_encoding_minutes": 2**31 - 1, "quota_storage_bytes": 2**63 - 1}


def limit(text: str) -> int | None:
    """Return the number in a text, or None for the word `default`. Raises ArgumentTypeError for any other text."""
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is neither a whole number nor {DEFAULT!r}")
    return int(text)


class Command(BaseCommand):
    help = (
        "Shows what an academy has used of its quotas. With options, gives it limits of its own in place of those of "
        f"QUOTA_JOBS, QUOTA_ENCODING_MINUTES and QUOTA_STORAGE_BYTES; the word {DEFAULT!r} takes one back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", help="the academy's code")
        parser.add_argument(
            "--jobs", type=limit, dest="quota_jobs", metavar="N", default=SUPPRESS, help="unfinished jobs"
        )
        parser.add_argument(
            "--encoding-minutes",
            type=limit,
            dest="quota_encoding_minutes",
            metavar="N",
            default=SUPPRESS,
            help="minutes of video encoded in a day",
        )
        parser.add_argument(
            "--storage-bytes",
            type=limit,
            dest="quota_storage_bytes",
            metavar="N",
            default=SUPPRESS,
            help="bytes stored",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        limits = {name: options[name] for name in MOST if name in options}
        for name, value in limits.items():
            if value is not None and value > MOST[name]:
                raise CommandError(f"{value} is too large: at most {MOST[name]}.")
        code = options["code"]
        tenant_id = set_limits(code, limits) if limits else repositories_core.find_tenant_id(code)
        if tenant_id is None:
            raise CommandError(f"There is no academy {code!r}.")
        usage = usage_of(tenant_id)
        may = usage.limits
        self.stdout.write(
            f"{code}: {usage.jobs} of {may.jobs} unfinished jobs, "
            f"{usage.encoding_seconds / 60:.0f} of {may.encoding_minutes} minutes of video encoded today, "
            f"{usage.stored_bytes / GIGABYTE:.1f} of {may.storage_bytes / GIGABYTE:.1f} GB stored."
        )
