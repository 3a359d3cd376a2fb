"""Reads the rows of a workbook as students: recognises its columns, and finds what is wrong with a row."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MAX_NAME_LETTERS = 50
MAX_SCHOOL_LETTERS = 50
MAX_GRADE_LETTERS = 20


class Column(StrEnum):
    """The columns of a workbook that are read. Name and parent's phone are required."""

    NAME = "name"
    PARENT_PHONE = "parent_phone"
    PHONE = "phone"
    SCHOOL = "school"
    GRADE = "grade"


NEEDED_COLUMNS = (Column.NAME, Column.PARENT_PHONE)


class ProblemCode(StrEnum):
    """Why a row did not become a student. CONFLICT and INTERNAL are found only when the row is saved."""

    NAME_MISSING = "name_missing"
    NAME_TOO_LONG = "name_too_long"
    PHONE_MISSING = "phone_missing"
    PHONE_INVALID = "phone_invalid"
    CONFLICT = "conflict"
    INTERNAL = "internal"


_KEPT_LETTERS = {
    Column.NAME: MAX_NAME_LETTERS + 10,  # a name that is too long is not cut to a valid one
    Column.PARENT_PHONE: 40,
    Column.PHONE: 40,
    Column.SCHOOL: MAX_SCHOOL_LETTERS,
    Column.GRADE: MAX_GRADE_LETTERS,
}
"""How many letters of each cell of an invalid row are kept. The answer of the reading process has a limited length."""

REASONS = {
    ProblemCode.NAME_MISSING: "The student's name is missing.",
    ProblemCode.NAME_TOO_LONG: f"The student's name is longer than {MAX_NAME_LETTERS} letters.",
    ProblemCode.PHONE_MISSING: "The parent's phone number is missing.",
    ProblemCode.PHONE_INVALID: (
        "A phone number of this row is not a Korean mobile number: it needs 11 digits beginning with 010."
    ),
    ProblemCode.CONFLICT: (
        "Somebody else was changing this student at the same moment. Import the file again: "
        "students who are there already are not made twice."
    ),
    ProblemCode.INTERNAL: "This row could not be saved: an error in the system. The other rows are not affected.",
}


@dataclass(frozen=True, slots=True)
class StudentRow:
    """A valid row. `line` counts from 1. A phone is 11 digits beginning with 010. The student's own phone may be ''."""

    line: int
    name: str
    parent_phone: str
    phone: str = ""
    school: str = ""
    grade: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The name and the parent's phone. Two rows of an academy with the same key are the same student."""
        return self.name, self.parent_phone

    def texts(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Return the texts of these columns."""
        return tuple(str(getattr(self, column)) for column in columns)


EXAMPLE = StudentRow(2, "홍길동 (예시)", "01000000000", "01000000001", "한빛중", "2")
"""The example in the template workbook. An import leaves it out, because not everybody deletes it."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """An invalid row. `name` is the name in the row, cut to 50 characters, or ''.

    `cells` has the text of each `Column` in their order, so that somebody can correct the row. Long texts are cut off.
    """

    line: int
    code: ProblemCode
    name: str = ""
    cells: tuple[str, ...] = field(default=(), compare=False)

    def texts(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Return the texts of these columns from `cells`, or '' for each that `cells` does not have."""
        kept = dict(zip(Column, self.cells, strict=False))
        return tuple(kept.get(column, "") for column in columns)

    @property
    def reason(self) -> str:
        """An English sentence that tells the teacher what is wrong."""
        return REASONS[self.code]


_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters by their Unicode category, but invisible
_NOTHING = frozenset({"", "-", "--", ".", "x", "없음", "무", "미정", "n/a", "na", "none", "null"})


def clean_text(text: str) -> str:
    """Return the text in Unicode NFC, with single spaces, without characters that are invisible or cannot be stored."""
    composed = unicodedata.normalize("NFC", text)
    kept = (
        "".join(map(_visible, composed))
        if not composed.isprintable() or set(composed) & set(_BLANK_LETTERS)
        else composed
    )
    return " ".join(kept.split())


def _visible(letter: str) -> str:
    if letter in _BLANK_LETTERS:
        return " "
    category = unicodedata.category(letter)
    if category == "Cc":
        return " " if letter.isspace() else ""
    return "" if category in {"Cf", "Cs"} else letter


def value_of(text: str) -> str:
    """Return the cleaned text, or '' if it only says that there is no value (such as `-` or `없음`)."""
    cleaned = clean_text(text)
    return "" if cleaned.casefold() in _NOTHING else cleaned


def read_row(
    line: int, cells: Mapping[Column, str], normalise_phone: Callable[[str], str | None]
) -> StudentRow | RowProblem | None:
    """Return the student in these cells, or what is wrong with the cells, or None if all of them are blank.

    `normalise_phone` returns the 11 digits of a Korean mobile number, or None for any other text. A school or grade
    that is too long is cut off, because that is no reason to refuse a student.
    """
    texts = {column: clean_text(cells.get(column, "")) for column in Column}
    if not any(texts.values()):
        return None
    name = texts[Column.NAME]
    parent_phone, phone = value_of(texts[Column.PARENT_PHONE]), value_of(texts[Column.PHONE])
    parent_digits = normalise_phone(parent_phone) if parent_phone else None
    digits = normalise_phone(phone) if phone else ""
    problem = _problem(name, parent_phone, parent_digits, digits)
    if problem or parent_digits is None or digits is None:
        kept = tuple(texts[column][:most] for column, most in _KEPT_LETTERS.items())
        return RowProblem(line, problem or ProblemCode.PHONE_INVALID, name[:MAX_NAME_LETTERS], kept)
    return StudentRow(
        line,
        name,
        parent_digits,
        digits,
        value_of(texts[Column.SCHOOL])[:MAX_SCHOOL_LETTERS].rstrip(),
        value_of(texts[Column.GRADE])[:MAX_GRADE_LETTERS].rstrip(),
    )


def problem_of(column: Column, text: str, normalise_phone: Callable[[str], str | None]) -> ProblemCode | None:
    """Return what is wrong with the text of a cell, or None. `normalise_phone` is that of `read_row`."""
    if column is Column.NAME:
        return _name_problem(clean_text(text))
    phone = value_of(text)
    if column is Column.PARENT_PHONE and not phone:
        return ProblemCode.PHONE_MISSING
    if column in {Column.PARENT_PHONE, Column.PHONE} and phone and normalise_phone(phone) is None:
        return ProblemCode.PHONE_INVALID
    return None


def _problem(name: str, parent_phone: str, parent_digits: str | None, digits: str | None) -> ProblemCode | None:
    """Return the first problem of a row, or None.

    `parent_digits` and `digits` are its normalised phones. Normalising takes long, so it is not done here once more.
    """
    if problem := _name_problem(name):
        return problem
    if not parent_phone:
        return ProblemCode.PHONE_MISSING
    return ProblemCode.PHONE_INVALID if parent_digits is None or digits is None else None


def _name_problem(name: str) -> ProblemCode | None:
    if not name:
        return ProblemCode.NAME_MISSING
    return ProblemCode.NAME_TOO_LONG if len(name) > MAX_NAME_LETTERS else None


_IGNORED = re.compile(r"[\W_]|필수|선택|required|optional")
_NAMES = {
    *("이름", "성명", "name", "fullname", "nameofstudent", "student", "studentname"),
    *("학생", "학생명", "학생이름", "학생성명", "원생", "원생명", "원생이름", "수강생", "수강생명"),
}
_SCHOOLS = {"학교", "학교명", "학교이름", "재학학교", "소속학교", "school", "schoolname"}
_GRADES = {"학년", "grade", "schoolgrade", "schoolyear"}
_PHONE = re.compile(r"전화|연락처|휴대|핸드폰|폰|모바일|phone|mobile|cell|contact|tel|^hp$|hp$")
_PARENT = re.compile(
    r"학부모|보호자|부모|어머니|아버지|엄마|아빠|^[모부](?=전화|연락|휴대|핸드)|parent|guardian|mother|father|mom|dad"
)
_PARENT_NUMBER = re.compile(r"번호|number|no$")


def column_of(header: str) -> Column | None:
    """Return the column that a header cell names in Korean or English, or None if it names no column.

    Spaces, brackets and asterisks are ignored. A plain `전화번호` or `phone` is the student's own phone, because
    nothing says that it is the parent's.
    """
    word = _IGNORED.sub("", clean_text(header).casefold())
    is_phone = bool(_PHONE.search(word))
    if _PARENT.search(word):
        return Column.PARENT_PHONE if is_phone or _PARENT_NUMBER.search(word) else None
    if is_phone:
        return Column.PHONE
    for column, words in ((Column.NAME, _NAMES), (Column.SCHOOL, _SCHOOLS), (Column.GRADE, _GRADES)):
        if word in words:
            return column
    return None


def find_columns(cells: Sequence[str]) -> dict[Column, int]:
    """Return the index (from 0) of each column in a header row. If two cells name the same column, the first counts."""
    places: dict[Column, int] = {}
    for place, cell in enumerate(cells):
        column = column_of(cell)
        if column is not None:
            places.setdefault(column, place)
    return places


def is_header(places: Mapping[Column, int]) -> bool:
    return all(column in places for column in NEEDED_COLUMNS)
