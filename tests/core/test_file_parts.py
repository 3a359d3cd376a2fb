"""A file as an answer: read as it is sent, and closed with the answer."""

import io

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


def test_a_file_that_nobody_reads_is_closed_too() -> None:
    stored = io.BytesIO(b"x")
    StreamingHttpResponse(FileParts(File(stored))).close()
    assert stored.closed
