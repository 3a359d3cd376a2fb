"""A lease in the database. It decides which relay fills Redis and sweeps, because only one relay may do so at a time.

The database's clock decides when the lease ends. A lease is not a lock: if the holder freezes, another relay can take
the lease when it ends. Then the old holder's next `keep` raises LeaseLostError.
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
    -- No new lease could end so late: this one was taken before the database's clock was set back.
    OR held_until > statement_timestamp() + make_interval(secs => %(secs)s)
)
RETURNING name
"""
_GIVE = "UPDATE realtime_relay_lease SET held_until = '-infinity' WHERE name = %s AND holder = %s"


class Lease:
    """One process's view of a lease. Only one thread may use an instance."""

    def __init__(self, name: str, seconds: float) -> None:
        """Set the name of the lease, and how many seconds it lasts. All processes must pass the same number."""
        self._name, self._holder, self._seconds = name, secrets.token_hex(8), seconds
        self._held = self._made = False
        self._asked_at = float("-inf")

    def hold(self) -> bool:
        """Take or renew the lease, unless another process holds it. Return whether this process now holds it.

        Most calls make no query: the database is asked only when a renewal or the next try is due. Raise DatabaseError
        if the database fails.
        """
        age = time.monotonic() - self._asked_at
        if age < self._seconds / (3 if self._held else 8):
            return self._held
        self._asked_at = time.monotonic()
        self._held = False  # until the database confirms it
        with connection.cursor() as cursor:
            if not self._made:
                cursor.execute(_NEW, [self._name])
            cursor.execute(_HOLD, {"holder": self._holder, "secs": self._seconds, "name": self._name})
            self._held = self._made = cursor.fetchone() is not None
        return self._held

    def keep(self) -> None:
        """Renew the lease if that is due. Call this between two steps of the work that needs the lease.

        Raise LeaseLostError if another process has taken the lease over, and DatabaseError if the database fails.
        """
        if not self.hold():
            raise LeaseLostError(f"Another relay has taken over {self._name}.")

    def give(self) -> None:
        """Give the lease up, so that another process can take it at once. Raise DatabaseError if the database fails."""
        if self._held:
            self._held = False
            self._asked_at = float("-inf")
            with connection.cursor() as cursor:
                cursor.execute(_GIVE, [self._name, self._holder])
