"""Sessions that expired: kept for a day, and deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from academy.adapters.db.django.repositories_sessions import purge_operator_sessions, purge_sessions

KEPT = timedelta(days=1)
"""Longer than anything lives that was issued in a session's last moment. Until then a refused token finds its owner."""
BATCH, BATCHES = 1000, 100
"""Rows in a transaction, and transactions in one call: the next call goes on."""

PURGES: tuple[Callable[[datetime, int], int], ...] = (purge_sessions, purge_operator_sessions)


def sweep_sessions() -> None:
    """Delete expired sessions of people and of operators, in batches. Several processes may do so at once."""
    before = timezone.now() - KEPT
    for purge in PURGES:
        for _ in range(BATCHES):
            if purge(before, BATCH) < BATCH:
                break
