"""Counts the large request bodies of one process, so that nobody holds all of its room."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose body it is."""

    tenant_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many unfinished large bodies there may be at once, and how many bytes the large bodies may have together."""

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

    def __init__(self, slots: "Slots", sender: Sender, size: int) -> None:
        self._slots, self._sender, self._size = slots, sender, size
        self._unfinished = self._held = True

    def finish(self) -> None:
        """The whole body has arrived."""
        if self._unfinished:
            self._unfinished = False
            self._slots.count_unfinished(self._sender, -1)

    def release(self) -> None:
        """The request is over, and its files are gone."""
        self.finish()
        if self._held:
            self._held = False
            self._slots.count_bytes(self._sender, -self._size)


class Slots:
    """The large bodies that arrive in this process now, and those that it still works on."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._unfinished: Counter[object] = Counter()  # of each sender, each tenant, and None: all
        self._bytes: Counter[object] = Counter()  # of each tenant, and None: all

    def take(self, sender: Sender, size: int) -> Slot:
        """Count a body in that has up to `size` bytes. Raises NoSlotError."""
        limits = self._limits
        if self._unfinished[sender] >= limits.unfinished_per_user:
            raise NoSlotError(
                f"You already send {limits.unfinished_per_user} files: wait until one has arrived.", is_own=True
            )
        if self._unfinished[sender.tenant_id] >= limits.unfinished_per_tenant:
            raise NoSlotError(
                f"Your academy already sends {limits.unfinished_per_tenant} files: wait until one has arrived.",
                is_own=True,
            )
        # A tenant may hold half of the room; one body of any permitted size always fits.
        if self._bytes[sender.tenant_id] and self._bytes[sender.tenant_id] + size > limits.total_bytes // 2:
            raise NoSlotError("Your academy already sends many large files: wait until one has arrived.", is_own=True)
        if self._unfinished[None] >= limits.unfinished or self._bytes[None] + size > limits.total_bytes:
            raise NoSlotError("The server takes many large files at the moment: try again in a minute.", is_own=False)
        self.count_unfinished(sender, 1)
        self.count_bytes(sender, size)
        return Slot(self, sender, size)

    def count_unfinished(self, sender: Sender, change: int) -> None:
        _add(self._unfinished, (sender, sender.tenant_id, None), change)

    def count_bytes(self, sender: Sender, change: int) -> None:
        _add(self._bytes, (sender.tenant_id, None), change)

    @property
    def empty(self) -> bool:
        return not self._unfinished and not self._bytes


def _add(counts: Counter[object], keys: tuple[object, ...], change: int) -> None:
    for key in keys:
        counts[key] += change
        if not counts[key]:
            del counts[key]  # or everybody who ever sent something would be remembered
