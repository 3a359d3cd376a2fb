"""What is kept for a while only, or was left by killed processes, cleared away while a worker runs."""

import threading
from collections.abc import Callable, Iterable

import structlog
from django.db import close_old_connections

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 3600.0


def sweep_until(stop: threading.Event, sweeps: Iterable[Callable[[], object]]) -> None:
    """Calls each at once and then every hour. What one raises is logged, and stops no other."""
    while True:
        for sweep in sweeps:
            try:
                sweep()
            except Exception:  # the storage or the database may be away: the next hour will do
                log.exception("sweep_failed")
        close_old_connections()
        if stop.wait(SWEEP_SECONDS):
            return
