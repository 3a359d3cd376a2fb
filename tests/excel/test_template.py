"""Tests of the workbook that people fill in to import students."""

import io
from pathlib import Path

import openpyxl
import pytest

from academy.adapters.excel.bounded import read_student_rows
from academy.adapters.excel.errors import EmptyWorkbookError
from academy.adapters.excel.template import template_workbook
from academy.domain.student_rows import EXAMPLE, StudentRow, find_columns, is_header


def filled_in(tmp_path: Path, *rows: tuple[str, ...], sheet: str = "학생 명단") -> Path:
    """Return the path of a template to which somebody has added these rows."""
    book = openpyxl.load_workbook(io.BytesIO(template_workbook()))
    for row in rows:
        book[sheet].append(row)
    path = tmp_path / "filled.xlsx"
    book.save(path)
    return path


def test_what_people_add_is_imported_and_the_example_is_left_out(tmp_path: Path) -> None:
    path = filled_in(tmp_path, ("김민수", "010-1234-5678", "", "한빛중", "2"), ("이서연", "01087654321"))
    assert read_student_rows(path, path.name) == [
        StudentRow(3, "김민수", "01012345678", "", "한빛중", "2"),
        StudentRow(4, "이서연", "01087654321"),
    ]


def test_an_example_with_another_name_is_a_student(tmp_path: Path) -> None:
    path = filled_in(tmp_path, ("홍길동", EXAMPLE.parent_phone))
    assert read_student_rows(path, path.name) == [StudentRow(3, "홍길동", EXAMPLE.parent_phone)]


def test_a_template_in_which_nobody_has_written_has_no_students(tmp_path: Path) -> None:
    path = filled_in(tmp_path)
    with pytest.raises(EmptyWorkbookError):
        read_student_rows(path, path.name)


def test_the_notes_are_on_a_sheet_of_their_own_that_no_import_reads() -> None:
    book = openpyxl.load_workbook(io.BytesIO(template_workbook()))
    assert book.sheetnames == ["학생 명단", "작성 방법"]
    assert not any(is_header(find_columns([str(cell) for cell in row])) for row in book["작성 방법"].values)


def test_the_columns_are_text_so_that_phones_keep_their_0() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(template_workbook())).worksheets[0]
    assert {sheet.column_dimensions[letter].number_format for letter in "ABCDE"} == {"@"}
    assert sheet["B2"].value == EXAMPLE.parent_phone
