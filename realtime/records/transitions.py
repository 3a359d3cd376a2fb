"""What a status is, and which publish may replace which record. `publish.lua` decides; this is the vocabulary.

PENDING < PROCESSING < terminal. A publish is accepted when its attempt is higher than the stored one, or equal and the
stored status is not terminal and the new rank is not lower. The same attempt and the same terminal status again is a
duplicate. Everything else is rejected, with the reason.
"""

from enum import StrEnum


class Status(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    READY = "READY"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def rank(self) -> int:
        return _RANKS.get(self, TERMINAL_RANK)

    @property
    def terminal(self) -> bool:
        return self.rank == TERMINAL_RANK


TERMINAL_RANK = 2
_RANKS = {Status.PENDING: 0, Status.PROCESSING: 1}


class Verdict(StrEnum):
    """Redis' answer to a publish. Only `accepted` changes anything and takes an offset."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE_ATTEMPT = "stale_attempt"
    ALREADY_TERMINAL = "already_terminal"
    STATUS_REGRESSION = "status_regression"
