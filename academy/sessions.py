"""Deletes sign-in sessions and one-time codes a day after they expired."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from academy.adapters.db.django.repositories_codes import purge_codes
from academy.adapters.db.django.repositories_sessions import purge_operator_sessions, purge_sessions

KEPT = timedelta(days=1)
"""How long an expired session is kept. All its tokens and tickets expire within this time, so the audit log can always
name the user of a refused token."""
BATCH, BATCHES = 1000, 100
"""How many rows one transaction deletes at most, and how many transactions one sweep makes at most for each function in
`PURGES`. The next sweep deletes the rest."""

PURGES: tuple[Callable[[datetime, int], int], ...] = (purge_sessions, purge_operator_sessions, purge_codes)


def sweep_sessions() -> None:
    """Delete expired sessions of people and of operators, and expired codes. Several processes may call it at once."""
    before = timezone.now() - KEPT
    for purge in PURGES:
        for _ in range(BATCHES):
            if purge(before, BATCH) < BATCH:
                break
