"""A place says what a client has: `epoch.offset.filter`, opaque to the client.

The epoch says of which life of Redis the offset is; the filter, of which topics. A place of other topics is not usable:
a client that watched `video:1` up to offset 90 knows nothing of `job:2` at 80.
"""

import re
from dataclasses import dataclass

_PLACE = re.compile(r"([0-9a-f]{1,32})\.(\d{1,19})\.([0-9a-f]{1,16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    epoch: str
    offset: int
    filter_hash: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}.{self.filter_hash}"


def parse_place(text: str | None) -> Place | None:
    """The place, or None where the text is none: the client then simply gets everything, and loses nothing."""
    match = _PLACE.fullmatch(text or "")
    return Place(match[1], int(match[2]), match[3]) if match else None
