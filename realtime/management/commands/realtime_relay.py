"""`manage.py realtime_relay`: runs the relay as a separate process."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from realtime import conf
from realtime.outbox.relay import Relay
from realtime.redis.server_info import end_if_too_old


class Command(BaseCommand):
    help = "Sends the unsent rows of the outbox, until SIGTERM or Ctrl-C. Workers do the same besides their jobs."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if connection.vendor != "postgresql":
            raise CommandError(f"The outbox and its relay need PostgreSQL, and the database is {connection.vendor}.")
        end_if_too_old(conf.redis_url())
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Relay().run(stop)
