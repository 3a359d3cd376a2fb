import json

import pytest

from academy.adapters.excel import wire
from academy.adapters.excel.errors import PasswordProtectedError, WorkbookError
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow

ROWS: list[StudentRow | RowProblem] = [
    StudentRow(4, "김\n민준", "01012345678"),
    RowProblem(5, ProblemCode.NAME_MISSING),
]


def lines_of(*texts: str) -> list[bytes]:
    return [f"{text}\n".encode() for text in texts]


def test_rows_arrive_unchanged() -> None:
    answer = [wire.row_line(row) for row in ROWS]
    assert wire.read_answer(lines_of(*answer, wire.end_line(2))) == ROWS


def test_the_cells_of_an_invalid_row_arrive_unchanged() -> None:
    problem = RowProblem(5, ProblemCode.PHONE_INVALID, "김", ("김", "02-1", "", "한빛중", "2"))
    (arrived,) = wire.read_answer(lines_of(wire.row_line(problem), wire.end_line(1))) or []
    assert isinstance(arrived, RowProblem)
    assert arrived.cells == problem.cells


def test_an_error_arrives_unchanged() -> None:
    with pytest.raises(PasswordProtectedError, match="password"):
        wire.read_answer(lines_of(wire.row_line(ROWS[0]), wire.error_line(PasswordProtectedError())))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [wire.row_line(ROWS[0])],
        [wire.row_line(ROWS[0]), wire.end_line(2)],
        [wire.row_line(ROWS[0])[:-5]],
        ["[]"],
        ["{}"],
        ["\udcff"],
        [json.dumps(["row", 1, "a", "b", "c", "d"]), wire.end_line(1)],
        [json.dumps(["row", 1, "a", "b", "c", "d", 5]), wire.end_line(1)],
        [json.dumps(["row", "1", "a", "b", "c", "d", "e"]), wire.end_line(1)],
        [json.dumps(["problem", 1, "strange", "a"]), wire.end_line(1)],
        [json.dumps(["problem", 1, "name_missing", "", "a"]), wire.end_line(1)],
        [json.dumps(["problem", 1, "name_missing", "", "a", "b", "c", "d", 5]), wire.end_line(1)],
    ],
)
def test_a_broken_answer_is_treated_as_none(lines: list[str]) -> None:
    assert wire.read_answer(text.encode("utf-8", "surrogateescape") + b"\n" for text in lines) is None


def test_an_unknown_error_code_is_still_an_error() -> None:
    with pytest.raises(WorkbookError, match="x"):
        wire.read_answer(lines_of(json.dumps(["error", "unknown", "x"])))
