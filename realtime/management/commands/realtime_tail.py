"""`manage.py realtime_tail`: prints a feed live."""

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from realtime import conf
from realtime.feed.reader import FeedReader
from realtime.operate.tail import tail
from realtime.records.errors import BadTopicError
from realtime.records.topics import TopicFilter


class Command(BaseCommand):
    help = (
        "Prints the feed of a tenant: its present records, then each new one, one line each, until Ctrl-C. Records are "
        "on standard output, sentences about the feed itself on standard error."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="CODE", required=True)
        parser.add_argument("--topics", default="*", help="separated by commas, such as video:42,job:* (default: all)")
        parser.add_argument("--json", action="store_true", help="print each record as browsers receive it")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            topics = TopicFilter.parse(options["topics"])
        except BadTopicError as problem:
            raise CommandError(str(problem)) from None
        tenant_id = conf.source().tenant_id(options["tenant"])
        if tenant_id is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with suppress(KeyboardInterrupt):
                asyncio.run(self._tail(tenant_id, topics, as_json=options["json"]))
        except BrokenPipeError:
            # The reader of the output has ended, for example in `| head`. Without this line, Python would write to the
            # closed pipe again when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    async def _tail(self, tenant_id: int, topics: TopicFilter, *, as_json: bool) -> None:
        await tail(
            FeedReader.from_url(conf.redis_url(), key_prefix=conf.key_prefix()),
            tenant_id,
            topics,
            revocations=conf.revocations(),
            write=self._write,
            say=self._say,
            as_json=as_json,
            limits=conf.limits(),
            probe_seconds=conf.settings().probe_seconds,
        )

    def _say(self, sentence: str) -> None:
        self.stderr.write(sentence)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
