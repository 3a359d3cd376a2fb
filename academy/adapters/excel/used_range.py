"""Checks the size of an .xlsx file before calamine reads it.

A cell very far down or to the right would make calamine abort the process.
"""

import re
import zipfile
from collections.abc import Iterator

from academy.adapters.excel.errors import TooManyRowsError, WorkbookTooLargeError
from academy.adapters.excel.limits import MAX_COLUMNS, MAX_LINES, MAX_UNPACKED_BYTES

_PIECE_BYTES = 1 << 20
_MAX_TAG_BYTES = 4096
# Matches the tag of a cell with content. Blank cells that only have a border do not match. calamine ignores those, too.
_CELL = re.compile(rb"""<(?:\w+:)?c(\s[^<>]*+)(?<!/)>""")
# Matches the reference of a cell among the attributes of its tag. The two searches are separate because one expression
# for both would take quadratic time for a tag with many references.
_REFERENCE = re.compile(rb"""\sr=["']([A-Z]{1,4})([0-9]{1,10})["']""")


def check_unpacked(archive: zipfile.ZipFile) -> None:
    """Check the size of a workbook before calamine reads it, to give a clear error.

    Raises WorkbookTooLargeError if all entries together have more than 200 MB unpacked, and TooManyRowsError if a cell
    is beyond `MAX_LINES` or `MAX_COLUMNS`. If the search misses a cell that is too far out, calamine fails at the
    process's memory limit.
    """
    if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
        raise WorkbookTooLargeError
    for entry in archive.infolist():
        if entry.filename.startswith("xl/worksheets/") and entry.filename.endswith(".xml"):
            for column, row in _cells(archive, entry):
                if row > MAX_LINES or column > MAX_COLUMNS:
                    raise TooManyRowsError


def _cells(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[tuple[int, int]]:
    """Yield the column and the row (both count from 1) of each cell with content."""
    rest = b""
    with archive.open(entry) as file:
        while piece := file.read(_PIECE_BYTES):
            text = rest + piece
            end = 0
            for found in _CELL.finditer(text):
                end = found.end()
                if reference := _REFERENCE.search(found[1]):
                    yield _column_number(reference[1]), int(reference[2])
            # A tag may begin in one piece and end in the next.
            rest = text[max(end, len(text) - _MAX_TAG_BYTES) :]


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
