"""Counts the bytes that a client may not have received, for servers that do not report how much has arrived.

A client answers a ping after it has received everything that was sent before the ping. So the client's answers show
how much has arrived.
"""

from collections import deque

from realtime.protocol.frames import Frame
from realtime.protocol.place import Place

MAX_BUFFER_BYTES = 65_536


class InFlight:
    """The bytes that were sent to one client, and those that are known to have arrived."""

    def __init__(self) -> None:
        self._sent = self._arrived = 0
        self._pings: deque[int] = deque()
        """For each unanswered ping, how many bytes had been sent to the client in all, this ping included."""
        self.place: Place | None = None
        """The place of what was sent; None until the first snapshot was sent. Without a place no ping can be sent."""

    @property
    def bytes(self) -> int:
        """How many bytes may not have arrived."""
        return self._sent - self._arrived

    @property
    def too_many(self) -> bool:
        """Whether nothing more should be sent until the client has answered."""
        return self.place is not None and self.bytes > MAX_BUFFER_BYTES

    @property
    def ping_due(self) -> bool:
        """Whether a ping has to be sent, because much was sent since the last one."""
        pinged = self._pings[-1] if self._pings else self._arrived
        return self.too_many and self._sent - pinged > MAX_BUFFER_BYTES

    def note_sent(self, frame: Frame) -> None:
        self._sent += len(frame.body)
        self.place = frame.place or self.place
        if frame.kind == "ping":
            self._pings.append(self._sent)

    def note_answer(self) -> bool:
        """Record that the client answered the oldest ping. Return False if no ping waits for an answer."""
        if not self._pings:
            return False
        self._arrived = self._pings.popleft()
        return True
