"""`manage.py migrate_progress_keys`: moves progress from old keys, which name no tenant, to keys that name one."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from realtime import conf
from realtime.outbox.source import NOTHING_TO_ASK, OutboxSource
from realtime.repair.legacy import Moved, OldKeys


class Command(BaseCommand):
    help = (
        "Moves the progress that the version before tenants wrote (job:video:<id>:progress, job:<id>:progress) to the "
        "keys of the tenant that owns the topic, by the database. Safe to repeat. Run it when no old worker runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        old_keys = OldKeys(conf.redis(), key_prefix=conf.key_prefix(), limits=conf.limits())
        source = conf.source()
        if isinstance(source, OutboxSource):
            raise CommandError(NOTHING_TO_ASK)
        done: Counter[Moved] = Counter()
        try:
            for done in old_keys.move_all(source, dry=options["dry_run"]):
                self.stdout.write(f"{done.total()} keys: {_said(done)}")
        except RedisError as problem:
            message = f"Redis cannot be read: {problem}. What was done so far stays: run the command again later."
            raise CommandError(message) from None
        self.stdout.write(f"Done: {_said(done)}." + (" Nothing was written." if options["dry_run"] else ""))


def _said(done: Counter[Moved]) -> str:
    return ", ".join(f"{done[moved]} {moved}" for moved in Moved)
