"""Counts the large request bodies of one process, so that no sender takes all of the process's slots and disk space.

A large body has more than 64 KiB (`config.body_limit`). No academy may hold more slots or bytes than are still free, so
there is always space for one more academy. With fixed limits alone, a few academies could take everything. Large bodies
of up to 1 MB have their own pool of slots, so that files never take these slots.
"""

from collections import Counter
from dataclasses import dataclass, replace

LIGHT_BYTES = 1_000_000
"""Up to this size a body counts in the pool of light bodies. A larger body counts in the pool of files."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The user who sends a body, and the user's academy."""

    tenant_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many unfinished bodies each pool may have at once, and how many bytes all files may have together."""

    unfinished: int = 64
    unfinished_per_tenant: int = 16
    unfinished_per_user: int = 4
    total_bytes: int = 8_000_000_000


class NoSlotError(Exception):
    """There is no slot for another large body now.

    `is_own` is true if the sender or its tenant already sends too much.
    """

    def __init__(self, message: str, *, is_own: bool) -> None:
        super().__init__(message)
        self.is_own = is_own


class Slot:
    """A large body. It is unfinished until `finish`, and on disk until `release`. Both may be called more than once."""

    def __init__(self, pool: "_Pool", sender: Sender, size: int) -> None:
        self._pool, self._sender, self._size = pool, sender, size
        self._unfinished = self._held = True

    def finish(self) -> None:
        """Stop counting the body as unfinished, because all of it has arrived."""
        if self._unfinished:
            self._unfinished = False
            self._pool.count_unfinished(self._sender, -1)

    def release(self) -> None:
        """Stop counting the body, because the request has ended and its files were deleted."""
        self.finish()
        if self._held:
            self._held = False
            self._pool.count_bytes(self._sender, -self._size)


class Slots:
    """The large bodies of this process: those that are arriving, and those of requests that are not answered yet."""

    def __init__(self, limits: SlotLimits) -> None:
        # Room for twice `limits.unfinished` bodies, because a finished body takes up room until its request is
        # answered.
        self._light = _Pool(replace(limits, total_bytes=2 * limits.unfinished * LIGHT_BYTES))
        self._files = _Pool(limits)

    def take(self, sender: Sender, size: int) -> Slot:
        """Take a slot for a body of up to `size` bytes. Raises NoSlotError if this sender gets no slot now."""
        return (self._light if size <= LIGHT_BYTES else self._files).take(sender, size)

    @property
    def empty(self) -> bool:
        return self._light.empty and self._files.empty


class _Pool:
    """Slots that senders share. The keys of both counters are senders, ids of tenants, and None for all senders."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._unfinished: Counter[object] = Counter()
        self._bytes: Counter[object] = Counter()

    def take(self, sender: Sender, size: int) -> Slot:
        """Take a slot for a body of up to `size` bytes. Raises NoSlotError if this sender gets no slot now."""
        self._check_unfinished(sender)
        self._check_bytes(sender, size)
        self.count_unfinished(sender, 1)
        self.count_bytes(sender, size)
        return Slot(self, sender, size)

    def _check_unfinished(self, sender: Sender) -> None:
        """Raise NoSlotError if another unfinished body would be too many.

        Apply the fixed limits. Also refuse a tenant that has as many unfinished bodies as there are free slots, and a
        user who has as many unfinished bodies as the user's tenant may still add within its fixed limit.
        """
        limits = self._limits
        of_user, of_tenant, of_all = (self._unfinished[key] for key in (sender, sender.tenant_id, None))
        if of_user >= min(limits.unfinished_per_user, limits.unfinished_per_tenant - of_tenant):
            raise _too_many(own=of_user, of_tenant=of_tenant)
        if of_tenant >= min(limits.unfinished_per_tenant, limits.unfinished - of_all):
            raise _too_many(of_tenant=of_tenant)

    def _check_bytes(self, sender: Sender, size: int) -> None:
        """Raise NoSlotError if `size` more bytes would be too many.

        After the addition, a tenant must not have more bytes than remain free, and a user who had bytes before must not
        have more than half of what remains free. The tenant's limit does not apply while the pool is empty, so that
        even the largest permitted body gets a slot.
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
        return NoSlotError("You already send as much as a user may: wait until some of it has arrived.", is_own=True)
    if of_tenant:
        return NoSlotError(
            "Your academy already sends as much as an academy may: wait until some of it has arrived.", is_own=True
        )
    return NoSlotError("The server receives many large files at the moment: try again in a minute.", is_own=False)


def _add(counts: Counter[object], sender: Sender, change: int) -> None:
    for key in (sender, sender.tenant_id, None):
        counts[key] += change
        if not counts[key]:
            del counts[key]  # otherwise the counter would keep an entry for everybody who ever sent a body
