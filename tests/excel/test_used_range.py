"""Tests of the search for cells that are too far out for calamine."""

import io
import time
import zipfile

import pytest

from academy.adapters.excel.errors import TooManyRowsError
from academy.adapters.excel.used_range import check_unpacked


def workbook(sheet: bytes) -> zipfile.ZipFile:
    """Return a workbook with these bytes in its sheet."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return zipfile.ZipFile(stream)


@pytest.mark.parametrize(
    "cell",
    [
        b'<c r="A900000"><v>1</v></c>',
        b'<c r="ZZZ1"><v>1</v></c>',
        b'<x:c r="A900000"><v>1</v></x:c>',
        b"<c t='n' r='A900000' s='1'><v>1</v></c>",
        b'<c\n r="A900000"\n><v>1</v></c>',
        b'<c r="A1"/><c r="A900000"><v>1</v></c>',
    ],
)
def test_a_cell_with_content_that_is_too_far_out_is_refused(cell: bytes) -> None:
    with pytest.raises(TooManyRowsError):
        check_unpacked(workbook(b"<row>" + cell + b"</row>"))


@pytest.mark.parametrize(
    "cell",
    [
        b'<c r="A1"><v>1</v></c>',
        b'<c r="A900000"/>',
        b'<c r="A900000" s="1" />',
        b'<col r="A900000">',
        b'<c er="A900000">',
    ],
)
def test_other_tags_are_not_refused(cell: bytes) -> None:
    check_unpacked(workbook(b"<row>" + cell + b"</row>"))


def cpu_seconds(sheet: bytes) -> float:
    archive = workbook(sheet)
    began = time.process_time()
    check_unpacked(archive)
    return time.process_time() - began


@pytest.mark.parametrize("part", [b' r="A1"', b' r="A1"/', b"<c ", b"<aaaa", b"<c r=' "])
def test_no_content_makes_the_search_slow(part: bytes) -> None:
    short, long = b"<c" + part * 20_000, b"<c" + part * 160_000
    ratio = min(cpu_seconds(long) / cpu_seconds(short) for _ in range(3))
    assert ratio < 32, "8 times as much content should take about 8 times as long, not 64 times"
