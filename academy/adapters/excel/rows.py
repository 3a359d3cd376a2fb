"""Reads the lines of a workbook as student rows."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from academy.adapters.excel.errors import EmptyWorkbookError, HeadersMissingError, TooManyRowsError
from academy.adapters.excel.limits import MAX_HEADER_LINE, MAX_ROWS
from academy.adapters.excel.phones import normalise_korean_mobile
from academy.adapters.excel.sheets import open_sheets
from academy.domain.student_rows import EXAMPLE, Column, RowProblem, StudentRow, find_columns, is_header, read_row


def read_workbook(path: Path) -> Iterator[StudentRow | RowProblem]:
    """Return an iterator over the rows of the first sheet that has a header row, in the order of their lines.

    The suffix of `path` is the kind of workbook. Raises WorkbookError if the workbook cannot be read or has no header
    row. The iterator raises WorkbookError if it finds no rows, too many rows, or rows that cannot be read.
    """
    anything = False
    for sheet in open_sheets(path):
        numbered = enumerate(sheet, start=1)
        for _, cells in islice(numbered, MAX_HEADER_LINE):
            anything = anything or any(cell.strip() for cell in cells)
            places = find_columns(cells)
            if is_header(places):
                return _student_rows(numbered, places)
    if anything:
        raise HeadersMissingError
    raise EmptyWorkbookError("The file is empty.")


def _student_rows(
    numbered: Iterator[tuple[int, list[str]]], places: dict[Column, int]
) -> Iterator[StudentRow | RowProblem]:
    found = 0
    for line, cells in numbered:
        texts = {column: cells[place] for column, place in places.items() if place < len(cells)}
        row = read_row(line, texts, normalise_korean_mobile)
        if row is not None and not _is_example(row):
            found += 1
            if found > MAX_ROWS:
                raise TooManyRowsError
            yield row
    if found == 0:
        raise EmptyWorkbookError


def _is_example(row: StudentRow | RowProblem) -> bool:
    return isinstance(row, StudentRow) and row.key == EXAMPLE.key
