"""Starts a worker of any kind: reads the environment, sets up Django, then runs the loop."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.worker.handlers import Handler
    from apps.worker.store import JobStore

Parts = tuple["JobStore[Any, Any]", "dict[str, Handler[Any]]"]


def start(name: str, queue_name: str, parts: Callable[[], Parts]) -> None:
    """Work on a queue until SIGTERM or SIGINT.

    `parts` returns the store and the handlers. It is called after Django is set up, so that it can import models.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PROCESS_NAME", name)
    from config.logging import log_everything  # noqa: PLC0415

    log_everything()
    import django  # noqa: PLC0415 - the log and the environment are set up first

    from config.environment import hide_secrets_once_read, sentences_in_the_log  # noqa: PLC0415

    hide_secrets_once_read()
    with sentences_in_the_log():
        django.setup()
    from django.conf import settings  # noqa: PLC0415 - needs set-up

    from academy.adapters.queue.sqs import SqsJobQueue  # noqa: PLC0415 - needs set-up
    from apps.worker.fleet import FleetSlots  # noqa: PLC0415 - needs set-up
    from apps.worker.loop import Worker  # noqa: PLC0415 - needs set-up
    from apps.worker.timing import Timing  # noqa: PLC0415 - needs set-up
    from realtime.redis import links  # noqa: PLC0415 - needs set-up
    from realtime.redis.server_info import end_if_too_old  # noqa: PLC0415 - needs set-up

    end_if_too_old(settings.REALTIME_REDIS_URL)
    most: int = getattr(settings, f"{name.upper()}_MAX_CONCURRENCY")
    redis = links.client(settings.REALTIME_REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)
    key = f"{settings.REALTIME_KEY_PREFIX}worker:{queue_name}:slots"
    fleet = FleetSlots(redis, key, most, settings.WORKER_LEASE_SECONDS)
    concurrency = min(most, settings.WORKER_CONCURRENCY)
    Worker(SqsJobQueue(queue_name), *parts(), fleet, concurrency, Timing.from_settings()).run()
    redis.close()
