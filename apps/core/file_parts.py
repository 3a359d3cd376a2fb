"""A stored file as the content of an answer."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from django.core.files.base import File

PART_BYTES = 100_000
THREADS = 32
"""Reads at once. With a storage that hangs all of them wait; they are nobody else's, least of all those that the event
loop asks for the address of a host."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="file")


class FileParts:
    """Reads an open file part by part, in a thread: the web process serves its connections meanwhile.

    Django would read a file that it is given to its end before it sends the first byte (ASGI). It closes this one with
    the answer.
    """

    def __init__(self, file: "File[bytes]") -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while part := await loop.run_in_executor(_threads, self._file.read, PART_BYTES):
            yield part

    def close(self) -> None:
        self._file.close()
