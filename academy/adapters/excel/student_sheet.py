"""Writes students to an .xlsx file, which the import can read again."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.worksheet._writer import WorksheetWriter

from academy.domain.student_rows import Column

StudentCells = tuple[str, ...]

_HEADERS = {
    Column.NAME: "이름",
    Column.SCHOOL: "학교",
    Column.GRADE: "학년",
    Column.PHONE: "학생 전화번호",
    Column.PARENT_PHONE: "학부모 전화번호",
}
COLUMNS = tuple(_HEADERS)
"""The columns in the order of the sheet."""
_WIDTHS = (14, 18, 10, 18, 18)
_TITLE = "학생 명단"
_TEXT = "@"
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Writer(WorksheetWriter):  # type: ignore[misc]  # openpyxl is untyped
    """Writes the rows to a temporary file that `write_students` names.

    openpyxl itself would write them to the system's folder for temporary files. If the process were killed, a file with
    personal data would stay there.
    """

    def cleanup(self) -> None:
        Path(self.out).unlink()


def write_students(path: Path, students: Iterable[StudentCells]) -> int:
    """Write the workbook to `path`, and return how many students it has.

    `students` yields the cells of each student in the order of `COLUMNS`. The students are not kept in memory, but
    written to a temporary file beside `path`.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(_TITLE)
    for letter, width in zip("ABCDE", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    sheet._writer = _Writer(sheet, str(path.with_suffix(".rows")))  # noqa: SLF001 - there is no other way to choose
    sheet._writer.write_top()  # noqa: SLF001 - as openpyxl does itself
    written = 0
    try:
        sheet.append(list(_HEADERS.values()))
        for student in students:
            sheet.append([_text_cell(sheet, text) for text in student])
            written += 1
    finally:
        sheet.close()
    book.save(path)
    return written


def _text_cell(sheet: Any, text: str) -> Any:
    """Return a cell that every program treats as text, even when it is edited: `=1+1` does not become a formula."""
    cell = WriteOnlyCell(sheet, _NOT_IN_XML.sub("", text))
    cell.data_type = "s"
    cell.number_format = _TEXT
    cell.quotePrefix = True
    return cell
