"""The statuses of a record, and the verdicts on a publish. `publish.lua` decides which publish replaces which record.

The ranks are PENDING < PROCESSING < terminal. A publish is accepted if nothing is stored for its topic, or if its
attempt is higher than the stored one. With the same attempt it is accepted if the stored status is not terminal and the
new rank is not lower. With the same attempt and the same terminal status it is a duplicate. Everything else is
rejected, with the reason.
"""

from enum import StrEnum

TERMINAL_RANK = 2
_RANKS = {"PENDING": 0, "PROCESSING": 1}


class Status(StrEnum):
    rank: int
    terminal: bool

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    READY = "READY"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    def __init__(self, name: str) -> None:
        self.rank = _RANKS.get(name, TERMINAL_RANK)
        self.terminal = self.rank == TERMINAL_RANK


class Verdict(StrEnum):
    """Redis' answer to a publish. Only an accepted publish changes anything and gets an offset."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE_ATTEMPT = "stale_attempt"
    ALREADY_TERMINAL = "already_terminal"
    STATUS_REGRESSION = "status_regression"
