"""A lease in the database: which of the relays does what one does for all. It runs out by the database's clock.

No lock is held. A holder that freezes loses the lease, and finds that out with its next `keep`.
"""

import secrets
import time

from django.db import connection

from realtime.records.errors import LeaseLostError

_NEW = """
INSERT INTO realtime_relay_lease (name, holder, held_until) VALUES (%s, '', '-infinity') ON CONFLICT (name) DO NOTHING
"""
_HOLD = """
UPDATE realtime_relay_lease
SET holder = %(holder)s, held_until = statement_timestamp() + make_interval(secs => %(secs)s)
WHERE name = %(name)s AND (
    holder = %(holder)s
    OR held_until <= statement_timestamp()
    -- Nobody holds it for longer than that: the clock of the database was put back.
    OR held_until > statement_timestamp() + make_interval(secs => %(secs)s)
)
RETURNING name
"""
_GIVE = "UPDATE realtime_relay_lease SET held_until = '-infinity' WHERE name = %s AND holder = %s"


class Lease:
    """Of one process; for one thread."""

    def __init__(self, name: str, seconds: float) -> None:
        """The lease lasts for so long after it was renewed. All processes give the same."""
        self._name, self._holder, self._seconds = name, secrets.token_hex(8), seconds
        self._held = self._made = False
        self._asked_at = float("-inf")

    def hold(self) -> bool:
        """Takes or renews the lease, if no other process holds it. Raises DatabaseError."""
        age = time.monotonic() - self._asked_at
        if age < self._seconds / (3 if self._held else 8):
            return self._held
        self._asked_at = time.monotonic()
        self._held = False  # as long as the database does not say otherwise
        with connection.cursor() as cursor:
            if not self._made:
                cursor.execute(_NEW, [self._name])
            cursor.execute(_HOLD, {"holder": self._holder, "secs": self._seconds, "name": self._name})
            self._held = self._made = cursor.fetchone() is not None
        return self._held

    def keep(self) -> None:
        """Renews it where that is due. Call it between steps. Raises LeaseLostError, DatabaseError."""
        if not self.hold():
            raise LeaseLostError(f"Another relay has taken over {self._name}.")

    def give(self) -> None:
        """Lets another process have it at once. Raises DatabaseError."""
        if self._held:
            self._held = False
            self._asked_at = float("-inf")
            with connection.cursor() as cursor:
                cursor.execute(_GIVE, [self._name, self._holder])
