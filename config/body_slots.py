"""Counts the large request bodies of one process, so that nobody holds all of its room.

An academy may hold as much as it leaves free for the others, so there is room for another one however many have some:
a fixed part for each would be used up by a few. Bodies of up to 1 MB have a pool of their own, in which they never wait
for files.
"""

from collections import Counter
from dataclasses import dataclass, replace

LIGHT_BYTES = 1_000_000
"""The largest body that does not compete with files."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose body it is."""

    tenant_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many unfinished bodies there may be at once in each pool, and how many bytes those of files together."""

    unfinished: int = 64
    unfinished_per_tenant: int = 16
    unfinished_per_user: int = 4
    total_bytes: int = 8_000_000_000


class NoSlotError(Exception):
    """There is no room for another large body now. `is_own`: the sender's own bodies, or its tenant's, fill it."""

    def __init__(self, message: str, *, is_own: bool) -> None:
        super().__init__(message)
        self.is_own = is_own


class Slot:
    """One large body: unfinished until `finish`, and on disk until `release`. Each may be called again."""

    def __init__(self, pool: "_Pool", sender: Sender, size: int) -> None:
        self._pool, self._sender, self._size = pool, sender, size
        self._unfinished = self._held = True

    def finish(self) -> None:
        """The whole body has arrived."""
        if self._unfinished:
            self._unfinished = False
            self._pool.count_unfinished(self._sender, -1)

    def release(self) -> None:
        """The request is over, and its files are gone."""
        self.finish()
        if self._held:
            self._held = False
            self._pool.count_bytes(self._sender, -self._size)


class Slots:
    """The large bodies that arrive in this process now, and those that it still works on."""

    def __init__(self, limits: SlotLimits) -> None:
        # As many again may have arrived, and wait for their answers.
        self._light = _Pool(replace(limits, total_bytes=2 * limits.unfinished * LIGHT_BYTES))
        self._files = _Pool(limits)

    def take(self, sender: Sender, size: int) -> Slot:
        """Count a body in that has up to `size` bytes. Raises NoSlotError."""
        return (self._light if size <= LIGHT_BYTES else self._files).take(sender, size)

    @property
    def empty(self) -> bool:
        return self._light.empty and self._files.empty


class _Pool:
    """Room that senders share. Each counter counts for each sender, for each tenant, and for all (None)."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._unfinished: Counter[object] = Counter()
        self._bytes: Counter[object] = Counter()

    def take(self, sender: Sender, size: int) -> Slot:
        """Count a body in. Raises NoSlotError."""
        self._check_unfinished(sender)
        self._check_bytes(sender, size)
        self.count_unfinished(sender, 1)
        self.count_bytes(sender, size)
        return Slot(self, sender, size)

    def _check_unfinished(self, sender: Sender) -> None:
        """Let a tenant have as many as there is room for yet, and a user as many as its tenant may still have."""
        limits = self._limits
        of_user, of_tenant, of_all = (self._unfinished[key] for key in (sender, sender.tenant_id, None))
        if of_user >= min(limits.unfinished_per_user, limits.unfinished_per_tenant - of_tenant):
            raise _too_many(own=of_user, of_tenant=of_tenant)
        if of_tenant >= min(limits.unfinished_per_tenant, limits.unfinished - of_all):
            raise _too_many(of_tenant=of_tenant)

    def _check_bytes(self, sender: Sender, size: int) -> None:
        """Let a tenant hold as many bytes as stay free, and one user with several bodies half of that.

        A body that is alone is always taken, so the largest one that is permitted has its turn.
        """
        of_user, of_tenant, of_all = (self._bytes[key] for key in (sender, sender.tenant_id, None))
        free = self._limits.total_bytes - of_all - size
        if of_user and of_user + size > free // 2:
            raise _too_many(own=of_user, of_tenant=of_tenant)
        if free < 0 or (of_all and of_tenant + size > free):
            raise _too_many(of_tenant=of_tenant)

    def count_unfinished(self, sender: Sender, change: int) -> None:
        _add(self._unfinished, sender, change)

    def count_bytes(self, sender: Sender, change: int) -> None:
        _add(self._bytes, sender, change)

    @property
    def empty(self) -> bool:
        return not self._unfinished and not self._bytes


def _too_many(*, own: int = 0, of_tenant: int) -> NoSlotError:
    if own:
        return NoSlotError("You already send as much as one user may: wait until some of it has arrived.", is_own=True)
    if of_tenant:
        return NoSlotError(
            "Your academy already sends as much as one academy may: wait until some of it has arrived.", is_own=True
        )
    return NoSlotError("The server takes many large files at the moment: try again in a minute.", is_own=False)


def _add(counts: Counter[object], sender: Sender, change: int) -> None:
    for key in (sender, sender.tenant_id, None):
        counts[key] += change
        if not counts[key]:
            del counts[key]  # or everybody who ever sent something would be remembered
