"""Streams a stored file as the content of an answer."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from django.core.files.base import File

PART_BYTES = 100_000
THREADS = 32
"""How many reads run at once. If the storage hangs, all these threads wait for it. So they are separate from the event
loop's own threads, which look up host names."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="file")


class FileParts:
    """Reads an open file part by part, in a thread, so that the web process can serve other connections meanwhile.

    Without this class, Django would read a file to its end under ASGI before it sends the first byte. Django closes
    this object when it closes the answer.
    """

    def __init__(self, file: "File[bytes]") -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while part := await loop.run_in_executor(_threads, self._file.read, PART_BYTES):
            yield part

    def close(self) -> None:
        self._file.close()
