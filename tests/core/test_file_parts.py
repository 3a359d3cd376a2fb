"""Tests of answers that contain a file: it is read while it is sent, and closed when Django closes the answer."""

import asyncio
import io
import os
import threading
from io import BytesIO

import pytest
from django.core.files.base import File
from django.http import StreamingHttpResponse

from apps.core.file_parts import PART_BYTES, FileParts


async def test_no_more_of_a_file_is_read_than_was_sent() -> None:
    stored = io.BytesIO(b"x" * 10 * PART_BYTES)
    answer = StreamingHttpResponse(FileParts(File(stored)))
    parts = aiter(answer)
    assert len(await anext(parts)) == PART_BYTES
    assert stored.tell() == PART_BYTES


async def test_a_file_is_sent_whole_and_closed_with_its_answer() -> None:
    stored = io.BytesIO(b"x" * (2 * PART_BYTES + 5))
    answer = StreamingHttpResponse(FileParts(File(stored)))
    assert sum([len(part) async for part in answer]) == 2 * PART_BYTES + 5
    assert not stored.closed
    answer.close()
    assert stored.closed


@pytest.mark.django_db  # after an answer, Django closes old connections of the thread
def test_a_file_that_nobody_reads_is_closed_too() -> None:
    stored = io.BytesIO(b"x")
    StreamingHttpResponse(FileParts(File(stored))).close()
    assert stored.closed


def test_files_that_hang_do_not_occupy_the_threads_of_others() -> None:
    """Files have threads of their own. The event loop needs its few default threads to look up host names."""
    go_on = threading.Event()
    most = min(32, (os.cpu_count() or 1) + 4)  # the event loop's default threads

    class Hanging(BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            go_on.wait()
            return b""

    async def read_all() -> str:
        reads = [asyncio.create_task(anext(aiter(FileParts(File(Hanging()))), b"")) for _ in range(most)]
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: "answered"), 60)
        finally:
            go_on.set()
            await asyncio.gather(*reads)

    assert asyncio.run(read_all()) == "answered"
