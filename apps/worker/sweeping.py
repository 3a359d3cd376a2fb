"""Runs the sweeps of a worker, which delete what has expired and what killed processes left behind."""

import threading
from collections.abc import Callable, Iterable

import structlog
from django.conf import settings
from django.db import close_old_connections

from academy.leftovers import sweep_leftovers
from realtime import conf

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 3600.0
SOON_SECONDS = 5.0

Work = Callable[[], object]


def sweep_until(stop: threading.Event, sweeps: Iterable[Work], pause_seconds: float = SWEEP_SECONDS) -> None:
    """Call each sweep now and after each pause, until `stop` is set.

    An error of one sweep does not stop the others. If a sweep fails several times in a row, only the first error is
    logged.
    """
    failures: dict[Work, int] = {}
    while True:
        for sweep in sweeps:
            try:
                sweep()
            except Exception:  # the storage or the database may not answer now: try again after the pause
                failures[sweep] = failures.get(sweep, 0) + 1
                if failures[sweep] == 1:
                    log.exception("sweep_failed")
            else:
                if times := failures.pop(sweep, 0):
                    log.info("sweep_works_again", failures=times)
        close_old_connections()
        if stop.wait(pause_seconds):
            return


def by_one_process(name: str, sweep: Work) -> Work:
    """Return a function that calls `sweep`, but only if no process of the installation has done so for about an hour.

    Use it for a sweep that reads a lot.
    """

    def sweep_if_due() -> None:
        key = f"{settings.REALTIME_KEY_PREFIX}worker:sweep:{name}"
        if conf.redis().set(key, 1, nx=True, ex=int(SWEEP_SECONDS * 0.9)):
            sweep()

    return sweep_if_due


sweep_storage = by_one_process("leftovers", sweep_leftovers)
"""The sweep of the storage, for the handlers of jobs that use the storage. A worker without these handlers may have no
access to the storage."""
