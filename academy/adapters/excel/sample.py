"""Makes a workbook to try an import with: a list of invented students, with the usual mistakes of such lists."""

import io
from collections.abc import Iterator
from random import Random

from academy.adapters.excel.sample_people import invent_students
from academy.domain.student_rows import StudentRow

_TITLE = "수강생 명단"
_HEADER = ("번호", "학생명", "학교", "학년", "학생 전화", "학부모 전화번호", "비고")
_WIDTHS = (7, 12, 12, 7, 18, 20, 16)
# Name, parent's phone and remark of the rows with mistakes. A workbook that is long enough has each of them once.
_BAD_CELLS = (
    ("", "010-0123-4567", "이름 없음"),
    ("연락처없음", "", "번호 확인"),
    ("김숫자", "010-012-34", "번호 확인"),
    ("이지역", "02-123-4567", "집 전화"),
    ("박두개", "010-0111-2222, 010-0333-4444", "두 번호"),
    ("가" * 51, "010-0123-4567", "이름 확인"),
)
_ROWS_FOR_A_BAD_ONE = 20
_ROWS_FOR_A_TWIN = 50
_ROWS_BETWEEN_BLANKS = 100

Cells = tuple[str | int, ...]


def sample_workbook(rows: int, seed: int | None = None) -> bytes:
    """Return an .xlsx file with `rows` rows below its header, and some blank lines.

    The same `seed` always gives the same students. One row in 50 repeats a student. One row in 20, up to 6 in all, is
    invalid.
    """
    from openpyxl import Workbook  # noqa: PLC0415 - the import is slow, and few processes make a sample

    random = Random(seed)  # noqa: S311 - invented people are no secret
    book = Workbook(write_only=True)
    sheet = book.create_sheet("명단")
    for letter, width in zip("ABCDEFG", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.append((_TITLE,))
    sheet.append(())
    sheet.append(_HEADER)
    for number, cells in enumerate(_lines(rows, random), start=1):
        sheet.append((number, *cells))
        if number % _ROWS_BETWEEN_BLANKS == 0 and number < rows:
            sheet.append(())
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _lines(rows: int, random: Random) -> Iterator[Cells]:
    """Yield the cells of each row, beginning with the name."""
    bad = _BAD_CELLS[: rows // _ROWS_FOR_A_BAD_ONE]
    twins = rows // _ROWS_FOR_A_TWIN
    people = invent_students(rows - len(bad) - twins, random)
    lines = [_student_cells(person, random) for person in people]
    for person in random.sample(people, twins):
        lines.insert(random.randint(person.line, len(lines)), _student_cells(person, random))
    for name, phone, remark in bad:
        lines.insert(random.randrange(len(lines)), (name, "", "", "", phone, remark))
    yield from lines


def _student_cells(student: StudentRow, random: Random) -> Cells:
    # Real workbooks have grades as numbers and as texts. An import reads both as the text in `student.grade`.
    grade = int(student.grade) if random.random() < 0.5 else student.grade  # noqa: PLR2004
    own = _typed(student.phone, random) if student.phone else ""
    return (student.name, student.school, grade, own, _typed(student.parent_phone, random), "")


def _typed(phone: str, random: Random) -> str | int:
    """Return the phone number in a random form that people type, such as an integer, which has no leading 0."""
    middle, end = phone[3:7], phone[7:]
    return random.choice((f"010-{middle}-{end}", f"010-{middle}-{end}", phone, int(phone), f"010 {middle} {end}"))
