"""Writes commands in the protocol of Redis, with hiredis.

redis-py can do it too, but takes several times as long for asyncio, and splits a pipeline into many writes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import hiredis
from redis.exceptions import DataError

CHUNK_BYTES = 65_536
"""About how many bytes of a pipeline are written to the socket at once."""


def packed(words: Sequence[Any]) -> bytes:
    """Encode a command. The words are its name, which may itself be two words ("SCRIPT LOAD"), and its arguments.

    Raise DataError for an argument that is neither text, bytes nor a number.
    """
    name = words[0]
    parts = name.split() if isinstance(name, (str, bytes)) else [name]
    try:
        return bytes(hiredis.pack_command((*parts, *words[1:])))
    except TypeError as problem:
        raise DataError(str(problem)) from None


def packed_together(commands: Iterable[Sequence[Any]]) -> list[bytes]:
    """Encode the commands of a pipeline, joined to chunks of about `CHUNK_BYTES`."""
    return [b"".join(chunk) for chunk in _chunks(commands)]


def _chunks(commands: Iterable[Sequence[Any]]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for words in commands:
        chunk.append(packed(words))
        size += len(chunk[-1])
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
