"""Writes students, or the failed rows of an import, to an .xlsx file. Such a file can be imported."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter

from academy.domain.student_rows import Column, ProblemCode

StudentCells = tuple[str, ...]
FailedCells = tuple[StudentCells, int, str]
"""The cells of a failed row in the order of `COLUMNS`, its line in the imported workbook, and its problem's code."""

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
_FAILED_TITLE = "실패한 행"
_FAILED_HEADERS = (*_HEADERS.values(), "원래 행", "실패한 이유")
_FAILED_WIDTHS = (*_WIDTHS, 9, 60)
_KOREAN_REASONS = {
    ProblemCode.NAME_MISSING: "이름이 없습니다.",
    ProblemCode.NAME_TOO_LONG: "이름이 50자를 넘습니다.",
    ProblemCode.PHONE_MISSING: "학부모 전화번호가 없습니다.",
    ProblemCode.PHONE_INVALID: "전화번호가 010으로 시작하는 11자리 휴대전화 번호가 아닙니다.",
    ProblemCode.CONFLICT: "같은 때에 다른 사람이 이 학생을 바꾸고 있었습니다. 그대로 다시 가져오면 됩니다.",
    ProblemCode.INTERNAL: "서버 문제로 등록하지 못했습니다. 그대로 다시 가져와 보십시오.",
}
_TEXT = "@"
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Writer(WorksheetWriter):  # type: ignore[misc]  # openpyxl is untyped
    """Writes the rows to the temporary file that `_write` names.

    openpyxl itself would choose a file in the system's folder for temporary files. If the process were killed, nobody
    would delete that file, which has personal data. A file beside the workbook is deleted with the job's folder.
    """

    def cleanup(self) -> None:
        Path(self.out).unlink()


def write_students(path: Path, students: Iterable[StudentCells]) -> int:
    """Write the workbook to `path`, and return how many students it has.

    `students` yields the cells of each student in the order of `COLUMNS`.
    """
    return _write(path, _TITLE, dict(zip(_HEADERS.values(), _WIDTHS, strict=True)), students)


def write_failed_rows(path: Path, rows: Iterable[FailedCells]) -> int:
    """Write the failed rows of an import, each with its line and the reason in Korean. Return how many there are.

    Somebody can correct the rows and import the workbook: an import ignores the columns of the line and the reason.
    """
    headers = dict(zip(_FAILED_HEADERS, _FAILED_WIDTHS, strict=True))
    told = ((*cells, str(line), _KOREAN_REASONS[ProblemCode(code)]) for cells, line, code in rows)
    return _write(path, _FAILED_TITLE, headers, told)


def _write(path: Path, title: str, headers: Mapping[str, int], rows: Iterable[StudentCells]) -> int:
    """Write a sheet with these headers, each with the width of its column. Return the number of rows below them.

    The rows are not kept in memory, but written to a temporary file beside `path`.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for place, width in enumerate(headers.values(), start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.freeze_panes = "A2"
    sheet._writer = _Writer(sheet, str(path.with_suffix(".rows")))  # noqa: SLF001 - there is no other way to choose
    sheet._writer.write_top()  # noqa: SLF001 - as openpyxl does itself
    written = 0
    try:
        sheet.append(list(headers))
        for row in rows:
            sheet.append([_text_cell(sheet, text) for text in row])
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
