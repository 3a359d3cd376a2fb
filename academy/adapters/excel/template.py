"""Makes the workbook that people fill in to import students: the columns, an example and, on another sheet, notes."""

import io
from typing import Any

from academy.adapters.excel.limits import MAX_ROWS
from academy.domain.student_rows import (
    EXAMPLE,
    MAX_GRADE_LETTERS,
    MAX_NAME_LETTERS,
    MAX_SCHOOL_LETTERS,
    Column,
)

_HEADERS = {
    Column.NAME: "이름 (필수)",
    Column.PARENT_PHONE: "학부모 전화번호 (필수)",
    Column.PHONE: "학생 전화번호",
    Column.SCHOOL: "학교",
    Column.GRADE: "학년",
}
_WIDTHS = (18, 24, 18, 18, 10)
_SHEET, _NOTES_SHEET = "학생 명단", "작성 방법"
_TEXT = "@"
_SHADE = "EEF3FD"
_NOTES = (
    "‘학생 명단’ 시트에 한 줄에 한 명씩 적고 저장한 뒤, 명단 가져오기 화면에 올립니다.",
    "‘(필수)’ 표시가 있는 두 칸은 꼭 채웁니다. 나머지는 비워 두어도 됩니다.",
    "전화번호는 010으로 시작하는 11자리 휴대전화 번호입니다. 줄표(-)는 있어도 되고 없어도 됩니다.",
    "한 칸에는 번호를 하나만 적습니다.",
    f"이름은 {MAX_NAME_LETTERS}자까지입니다.",
    f"학교는 {MAX_SCHOOL_LETTERS}자, 학년은 {MAX_GRADE_LETTERS}자까지 저장합니다.",
    "이름과 번호가 모두 같으면 같은 학생입니다. 이미 있는 학생은 다시 만들지 않고, 뺀 학생은 복원합니다.",
    "예시 줄은 지우지 않아도 됩니다. 가져올 때 건너뜁니다.",
    "열의 순서를 바꾸거나 다른 열을 더해도 됩니다. 첫 줄의 열 이름은 그대로 둡니다.",
    f"한 번에 {MAX_ROWS:,}명까지 가져올 수 있습니다.",
)


def template_workbook() -> bytes:
    """Return an .xlsx file. Its first sheet has a header row and an example. An import skips the example."""
    from openpyxl import Workbook  # noqa: PLC0415 - the import is slow, and few processes make a template

    book = Workbook()
    _fill_list(book.active)
    _fill_notes(book.create_sheet(_NOTES_SHEET))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _fill_list(sheet: Any) -> None:
    from openpyxl.styles import Font, PatternFill  # noqa: PLC0415 - see above

    sheet.title = _SHEET
    sheet.append(list(_HEADERS.values()))
    sheet.append([getattr(EXAMPLE, column) for column in _HEADERS])
    for place, (letter, width) in enumerate(zip("ABCDE", _WIDTHS, strict=True), start=1):
        column = sheet.column_dimensions[letter]
        column.width = width
        column.number_format = _TEXT  # else a spreadsheet takes the leading 0 from a phone number
        header, example = sheet.cell(1, place), sheet.cell(2, place)
        header.font = Font(bold=True)
        header.fill = PatternFill("solid", fgColor=_SHADE)
        example.font = Font(italic=True, color="808080")
        example.number_format = _TEXT
    sheet.freeze_panes = "A2"


def _fill_notes(sheet: Any) -> None:
    sheet.column_dimensions["A"].width = 100
    for note in _NOTES:
        sheet.append([note])
