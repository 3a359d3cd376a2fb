"""The health of a job's provider: how many messages it may be given at once, and when to pause."""

import math
from dataclasses import dataclass, field

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds to wait after the first failure, the second failure, and so on.

After a refusal, only the refused message waits. After an unknown outcome, or more than `FREE_FAILURES` refusals in a
row, all messages wait.
"""
FREE_FAILURES = 16
"""After up to this many refusals in a row, the other messages are still sent: the provider may accept them."""
MOST_TRIES = 15
"""How many times one attempt of the job may try to send the same message."""


@dataclass(slots=True)
class Health:
    """Counts the refusals and unknown outcomes since the provider last accepted or rejected a message. Uses no clock.

    A refusal is a ProviderUnavailableError: the message was not accepted, but may be sent again later. A rejected
    message (MessageRefusedError) is not counted, because it shows that the provider works.
    """

    answered: bool = False
    refusals: int = 0
    """How many refusals there were since the provider last accepted or rejected a message."""
    unknown: int = 0
    """How many outcomes were unknown since the provider last accepted or rejected a message."""
    tries: dict[int, int] = field(default_factory=dict)
    """Maps the id of a message to the number of its refusals in this attempt of the job."""

    def note_answer(self) -> None:
        """Note that the provider works: it accepted or rejected a message."""
        self.answered, self.refusals, self.unknown = True, 0, 0

    def note_refusal(self, message_id: int) -> float:
        """Note that the provider did not accept this message now. Return how many seconds the message must wait.

        Return infinity if this attempt of the job must not try the message again.
        """
        self.refusals += 1
        tries = self.tries[message_id] = self.tries.get(message_id, 0) + 1
        return PAUSES[min(tries, len(PAUSES)) - 1] if tries < MOST_TRIES else math.inf

    def note_unknown(self) -> None:
        self.unknown += 1

    @property
    def is_down(self) -> bool:
        """Whether the provider has failed so often in a row that this attempt of the job should end."""
        return self.unknown > len(PAUSES) or self.refusals > FREE_FAILURES + len(PAUSES)

    @property
    def pause(self) -> float:
        """For how many seconds no message may be sent to the provider."""
        failures = max(self.unknown, self.refusals - FREE_FAILURES)
        return PAUSES[min(failures, len(PAUSES)) - 1] if failures > 0 else 0.0

    def lanes(self, most: int) -> int:
        """Return how many messages may be at the provider at once, at most `most`.

        Each refusal in a row lowers the number by one, but not below 1. At the beginning, and after an
        unknown outcome, the number is 1 until the provider accepts or rejects a message.
        """
        return 1 if self.unknown or not self.answered else max(1, most - self.refusals)
