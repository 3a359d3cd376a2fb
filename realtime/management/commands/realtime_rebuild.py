"""`manage.py realtime_rebuild`: brings Redis into agreement with the database."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from realtime import conf
from realtime.outbox.source import NOTHING_TO_ASK, OutboxSource
from realtime.repair.rebuild import TENANTS_AT_ONCE, Rebuild, Rebuilt, run_in_batches

DAY_SECONDS = 24 * 3600


class Command(BaseCommand):
    help = (
        "Makes Redis show what the database says. It publishes unfinished topics that new clients are not shown, and "
        "restores topics that ended in the last 24 hours without publishing them. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="CODE", help="only this tenant")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        source, dry = conf.source(), options["dry_run"]
        if isinstance(source, OutboxSource):
            raise CommandError(NOTHING_TO_ASK)
        rebuild = Rebuild(conf.redis(), source, key_prefix=conf.key_prefix(), limits=conf.limits(), dry=dry)
        tenant_ids = self._tenants(source, options["tenant"])
        done, failed = Rebuilt(), list[int]()
        since = time.time() - DAY_SECONDS

        def mend(batch: list[int]) -> None:
            done.add(rebuild.everything(batch))
            done.restored += rebuild.ended(batch, since)

        try:
            for place in range(0, len(tenant_ids), TENANTS_AT_ONCE):
                batch = tenant_ids[place : place + TENANTS_AT_ONCE]
                failed += run_in_batches(batch, mend, "rebuild")
                self.stdout.write(f"{place + len(batch)} of {len(tenant_ids)} tenants: {_said(done, dry=dry)}")
        except RedisError as problem:
            message = f"Redis cannot be read: {problem}. What was done so far stays: run the command again later."
            raise CommandError(message) from None
        if failed:
            raise CommandError(
                f"{len(failed)} tenants failed, and the log says why: {failed[:10]}. All others are done."
            )
        self.stdout.write(f"Done: {_said(done, dry=dry)}.")

    @staticmethod
    def _tenants(source: Any, code: str | None) -> list[int]:
        if code is None:
            tenant_ids: list[int] = source.tenants()
            return tenant_ids
        tenant_id = source.tenant_id(code)
        if tenant_id is None:
            raise CommandError(f"There is no tenant {code!r}.")
        return [tenant_id]


def _said(done: Rebuilt, *, dry: bool) -> str:
    would = "would be " if dry else ""
    return f"{done.published} {would}published, {done.restored} {would}restored"
