"""`manage.py doctor`: checks every part of the push path, and says how to fix what is wrong."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from realtime import conf
from realtime.conf import DoctorCheck
from realtime.operate import doctor, doctor_clocks, doctor_push, doctor_relay, doctor_servers


class Command(BaseCommand):
    help = (
        "Checks each part of the push path, in one line each, and says how to fix what is wrong: settings, database, "
        "Redis, queue, outbox, relay, and a record from publish to socket. The exit code is 1 if anything is "
        "wrong. It publishes only into the feed of the reserved tenant 0."
    )
    requires_system_checks = ()  # the doctor runs them itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", metavar="http://…", help="also try the WebSocket of the server that runs there")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        wrong = total = 0
        for finding in doctor.examine(named_checks(options["url"])):
            total, wrong = total + 1, wrong + finding.wrong
            if finding.wrong:
                self.stdout.write(f"{self.style.ERROR('WRONG')} {finding.name}: {finding.message}. {finding.mend}")
            else:
                self.stdout.write(f"{self.style.SUCCESS('ok')}    {finding.name}: {finding.message}")
        if wrong:
            raise CommandError(f"{wrong} of {total} wrong.")


def named_checks(url: str | None) -> Iterator[tuple[str, DoctorCheck]]:
    """Yield all checks with their names, in order. With `url`, the last one checks the server at this address."""
    redis = doctor.RedisChecks()
    yield "settings", doctor.check_settings
    yield "database", doctor_servers.check_database
    yield "redis", redis.check(doctor_servers.check_redis)
    yield "redis policy", redis.check(doctor_servers.check_policy)
    yield "redis memory", redis.check(doctor_servers.check_memory)
    yield "redis writes", redis.check(doctor_servers.check_writes)
    yield "clocks", redis.check(doctor_clocks.check_clocks)
    yield from conf.doctor_checks()
    yield "outbox", doctor_relay.check_outbox
    yield "relay", redis.check(doctor_relay.check_relay)
    yield "redis contents", redis.check(doctor_relay.check_fill)
    yield "publish to hub", redis.check(doctor_push.check_hub)
    if url:
        yield "publish to socket", redis.check(doctor_push.check_server(url))
