from collections import Counter
from pathlib import Path

import pytest

from academy.adapters.excel.bounded import read_student_rows
from academy.adapters.excel.errors import EmptyWorkbookError
from academy.adapters.excel.sample import sample_workbook
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow


def read(tmp_path: Path, rows: int, seed: int | None) -> list[StudentRow | RowProblem]:
    path = tmp_path / f"{rows}.xlsx"
    path.write_bytes(sample_workbook(rows, seed))
    return read_student_rows(path, path.name)


def test_a_sample_has_the_requested_content(tmp_path: Path) -> None:
    rows = read(tmp_path, 2000, 1)
    assert len(rows) == 2000
    keys = Counter(row.key for row in rows if isinstance(row, StudentRow))
    assert sum(count - 1 for count in keys.values()) == 40
    assert {row.code for row in rows if isinstance(row, RowProblem)} == {
        ProblemCode.NAME_MISSING,
        ProblemCode.NAME_TOO_LONG,
        ProblemCode.PHONE_MISSING,
        ProblemCode.PHONE_INVALID,
    }
    assert {row.grade for row in rows if isinstance(row, StudentRow)} == {"1", "2", "3"}, "as the demo students have"
    assert max(row.line for row in rows) == 2000 + 3 + 19, (
        "a title, a blank line, the header; a blank line after each 100"
    )


def test_the_same_seed_gives_the_same_students_and_another_seed_others(tmp_path: Path) -> None:
    assert read(tmp_path, 200, 1) == read(tmp_path, 200, 1)
    assert read(tmp_path, 200, 1) != read(tmp_path, 200, 2)
    assert read(tmp_path, 200, None) != read(tmp_path, 200, None)


@pytest.mark.parametrize("rows", [1, 19, 20, 60])
def test_small_samples_are_possible(tmp_path: Path, rows: int) -> None:
    assert len(read(tmp_path, rows, 3)) == rows


def test_a_sample_of_zero_students_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyWorkbookError):
        read(tmp_path, 0, 1)
