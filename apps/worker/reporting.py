"""Reports to Redis that this worker runs, how many jobs it has, and its counters, for the operators' figures."""

import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from realtime.publish.reports import REPORT_SECONDS, WATCHED_REPORT_SECONDS, Reporter
from realtime.redis import links

log = structlog.get_logger(__name__)


def report_until(stop: threading.Event, queue: str, slots: int, busy: Callable[[], int]) -> None:
    """Report every few seconds until `stop` is set.

    `slots` is how many jobs this worker may run at once, and `busy` returns how many it runs now.
    """
    redis = links.client(settings.REALTIME_REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)
    reporter = Reporter(redis, key_prefix=settings.REALTIME_KEY_PREFIX, kind="worker", queue=queue, slots=slots)
    watched = False
    while True:
        try:
            watched = reporter.report({"busy": busy()})
        except (RedisError, OSError) as problem:
            log.debug("worker_not_reported", error=str(problem))
        if stop.wait(WATCHED_REPORT_SECONDS if watched else REPORT_SECONDS):
            break
    try:
        reporter.withdraw()
    except (RedisError, OSError) as problem:
        log.debug("worker_not_withdrawn", error=str(problem))
    redis.close()
