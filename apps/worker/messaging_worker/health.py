"""How the provider of one job does: how many messages it may be given at once, and when to leave it alone."""

import math
from dataclasses import dataclass, field

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds: of one message, after each of its failures in a row; and of all, after those of the provider."""
FREE_FAILURES = 16
"""Refusals to take anything, in a row, after which not only the message waits: many providers refuse every second."""
MOST_TRIES = 15
"""Of one message in one attempt of the job, while the provider takes others."""


@dataclass(slots=True)
class Health:
    """Counts what the provider did since it last accepted or refused a message. Knows no clock."""

    answered: bool = False
    refusals: int = 0
    """Answers, in a row, that it takes nothing."""
    unknown: int = 0
    """Messages, in a row, of which it did not say whether it took them."""
    tries: dict[int, int] = field(default_factory=dict)
    """By message: how often it was not taken."""

    def note_answer(self) -> None:
        """It is well, whatever it said of this message."""
        self.answered, self.refusals, self.unknown = True, 0, 0

    def note_refusal(self, message_id: int) -> float:
        """It takes nothing. Return how long this message waits; infinite once it was tried often enough."""
        self.refusals += 1
        tries = self.tries[message_id] = self.tries.get(message_id, 0) + 1
        return PAUSES[min(tries, len(PAUSES)) - 1] if tries < MOST_TRIES else math.inf

    def note_unknown(self) -> None:
        self.unknown += 1

    @property
    def is_down(self) -> bool:
        """Whether this attempt of the job should end."""
        return self.unknown > len(PAUSES) or self.refusals > FREE_FAILURES + len(PAUSES)

    @property
    def pause(self) -> float:
        """How many seconds the provider is left alone now."""
        failures = max(self.unknown, self.refusals - FREE_FAILURES)
        return PAUSES[min(failures, len(PAUSES)) - 1] if failures > 0 else 0.0

    def lanes(self, most: int) -> int:
        """How many messages it may be given at once: one, as long as nobody knows whether it answers."""
        return 1 if self.unknown or not self.answered else max(1, most - self.refusals)
