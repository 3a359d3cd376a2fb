"""A place says which records a client has: `epoch.offset.filter`. To the client it is an opaque text.

The offset is valid only in this epoch, and only for the client's topics. The filter is a hash of these topics. A client
cannot continue with other topics: one that watched `video:1` up to offset 90 does not have `job:2` at offset 80.
"""

import re
from dataclasses import dataclass

_PLACE = re.compile(r"([0-9a-f]{1,32})\.(\d{1,19})\.([0-9a-f]{1,16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Says that a client has all records of its topics up to this offset, in this epoch."""

    epoch: str
    offset: int
    filter_hash: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}.{self.filter_hash}"


def parse_place(text: str | None) -> Place | None:
    """Return the place, or None if the text is not a place. With None the client receives a whole snapshot."""
    match = _PLACE.fullmatch(text or "")
    return Place(match[1], int(match[2]), match[3]) if match else None
