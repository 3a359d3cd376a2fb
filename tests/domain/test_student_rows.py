import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from academy.domain.student_rows import (
    Column,
    ProblemCode,
    RowProblem,
    StudentRow,
    clean_text,
    column_of,
    find_columns,
    is_header,
    read_row,
)

PHONE = "01012345678"


def read(**cells: str) -> StudentRow | RowProblem | None:
    """Read a row with these cells. A phone number is accepted if it consists of digits."""
    return read_row(
        7, {Column(name): text for name, text in cells.items()}, lambda text: text if text.isdigit() else None
    )


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("이름", Column.NAME),
        ("성 명", Column.NAME),
        ("학생명", Column.NAME),
        (" Name ", Column.NAME),
        ("이름(필수)", Column.NAME),
        ("*이름", Column.NAME),
        (unicodedata.normalize("NFD", "이름"), Column.NAME),
        ("학부모 전화", Column.PARENT_PHONE),
        ("학부모전화번호", Column.PARENT_PHONE),
        ("보호자 연락처", Column.PARENT_PHONE),
        ("부모님 휴대폰", Column.PARENT_PHONE),
        ("연락처(학부모)", Column.PARENT_PHONE),
        ("학부모\n핸드폰", Column.PARENT_PHONE),
        ("모 연락처", Column.PARENT_PHONE),
        ("Parent phone", Column.PARENT_PHONE),
        ("parent_phone_number", Column.PARENT_PHONE),
        ("Parent's mobile", Column.PARENT_PHONE),
        ("학부모 번호", Column.PARENT_PHONE),
        ("학생 전화", Column.PHONE),
        ("전화번호", Column.PHONE),
        ("student phone", Column.PHONE),
        ("학교", Column.SCHOOL),
        ("학교명", Column.SCHOOL),
        ("School", Column.SCHOOL),
        ("학년", Column.GRADE),
        ("grade", Column.GRADE),
        ("번호", None),
        ("학부모 성함", None),
        ("parent name", None),
        ("비고", None),
        ("", None),
        ("2026년 수강생 명단", None),
    ],
)
def test_headers_are_recognised(header: str, column: Column | None) -> None:
    assert column_of(header) is column


def test_columns_are_found_in_any_order_and_the_first_of_a_kind_counts() -> None:
    places = find_columns(["번호", "학부모 전화", "이름", "학년", "보호자 연락처"])
    assert places == {Column.PARENT_PHONE: 1, Column.NAME: 2, Column.GRADE: 3}
    assert is_header(places)
    assert not is_header(find_columns(["이름", "전화번호"]))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  김\u00a0 민준\t", "김 민준"),
        ("김\n민준", "김 민준"),
        ("김\u200b민준\ufeff", "김민준"),
        ("김\x00민준\ud800", "김민준"),
        ("\u3164\u3000", ""),
        (unicodedata.normalize("NFD", "김민준"), "김민준"),
    ],
)
def test_texts_are_cleaned(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@given(st.text())
def test_cleaned_text_stays_as_it_is_and_fits_any_database(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert "\x00" not in cleaned
    cleaned.encode()


def test_a_good_row() -> None:
    row = read(name="김 민준", parent_phone=PHONE, phone=PHONE, school="한빛중", grade="1")
    assert row == StudentRow(7, "김 민준", PHONE, PHONE, "한빛중", "1")


def test_a_row_without_anything_is_no_row() -> None:
    assert read(name=" ", parent_phone="\u3000", school="") is None
    assert read() is None


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"parent_phone": PHONE}, ProblemCode.NAME_MISSING),
        ({"name": " ", "school": "한빛중"}, ProblemCode.NAME_MISSING),
        ({"name": "가" * 51, "parent_phone": PHONE}, ProblemCode.NAME_TOO_LONG),
        ({"name": "김민준"}, ProblemCode.PHONE_MISSING),
        ({"name": "김민준", "parent_phone": "없음"}, ProblemCode.PHONE_MISSING),
        ({"name": "김민준", "parent_phone": "몰라요"}, ProblemCode.PHONE_INVALID),
        ({"name": "김민준", "parent_phone": PHONE, "phone": "집"}, ProblemCode.PHONE_INVALID),
    ],
)
def test_bad_rows_say_why(cells: dict[str, str], code: ProblemCode) -> None:
    problem = read(**cells)
    assert isinstance(problem, RowProblem)
    assert (problem.line, problem.code) == (7, code)
    assert problem.reason.endswith(".")
    assert len(problem.reason) <= 300


def test_a_bad_row_keeps_its_cells_so_that_it_can_be_corrected() -> None:
    problem = read(name="김민준", parent_phone="02-123-4567", phone="  집 ", school="한빛중" * 30, grade="2")
    assert isinstance(problem, RowProblem)
    assert problem.cells == ("김민준", "02-123-4567", "집", ("한빛중" * 30)[:50], "2")
    assert problem.texts([Column.GRADE, Column.PARENT_PHONE]) == ("2", "02-123-4567")
    long = read(name="가" * 3000, parent_phone="9" * 3000)
    assert isinstance(long, RowProblem)
    assert [len(cell) for cell in long.cells] == [60, 40, 0, 0, 0]


def test_fifty_letters_are_counted_after_composing() -> None:
    decomposed = unicodedata.normalize("NFD", "각" * 50)
    assert len(decomposed) == 150
    row = read(name=decomposed, parent_phone=PHONE)
    assert isinstance(row, StudentRow)
    assert row.name == "각" * 50


def test_what_is_written_for_nothing_is_nothing() -> None:
    row = read(name="김민준", parent_phone=PHONE, phone="-", school="없음", grade=" ")
    assert row == StudentRow(7, "김민준", PHONE)


def test_school_and_grade_are_cut_to_their_room() -> None:
    row = read(name="김민준", parent_phone=PHONE, school="가" * 60, grade="나" * 30)
    assert isinstance(row, StudentRow)
    assert (len(row.school), len(row.grade)) == (50, 20)
