"""The format of the answer of the reading process to the process that started it: a JSON array in each line.

A row is `["row", line, name, parent_phone, phone, school, grade]`. An invalid row is `["problem", line, code, name]`,
followed by the texts of its five cells or by no texts. The last line is `["end", rows]` or `["error", code, message]`.
If the last line is neither, the process has died.
"""

import json
from collections.abc import Iterable

from academy.adapters.excel.errors import ERRORS_BY_CODE, DamagedWorkbookError, WorkbookError
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow

_TEXTS_OF_A_ROW = 5
_MAX_MESSAGE_LETTERS = 300


def row_line(row: StudentRow | RowProblem) -> str:
    if isinstance(row, StudentRow):
        return json.dumps(["row", row.line, row.name, row.parent_phone, row.phone, row.school, row.grade])
    return json.dumps(["problem", row.line, row.code, row.name, *row.cells])


def end_line(rows: int) -> str:
    return json.dumps(["end", rows])


def error_line(error: WorkbookError) -> str:
    return json.dumps(["error", error.code, error.message])


def read_answer(lines: Iterable[bytes]) -> list[StudentRow | RowProblem] | None:
    """Return the rows of an answer, or None if the answer is not complete. Raises the WorkbookError in it, if any.

    The process that wrote the answer has read an uploaded file, so the answer is not trusted. If a line of it is not in
    the format above, return None.
    """
    rows: list[StudentRow | RowProblem] = []
    try:
        for line in lines:
            match json.loads(line):
                case ["row", int(number), *texts] if len(texts) == _TEXTS_OF_A_ROW and all(
                    isinstance(text, str) for text in texts
                ):
                    rows.append(StudentRow(number, *texts))
                case ["problem", int(number), str(code), str(name), *texts] if len(texts) in {
                    0,
                    _TEXTS_OF_A_ROW,
                } and all(isinstance(text, str) for text in texts):
                    rows.append(RowProblem(number, ProblemCode(code), name, tuple(texts)))
                case ["end", int(count)]:
                    return rows if count == len(rows) else None
                case ["error", str(code), str(message)]:
                    raise ERRORS_BY_CODE.get(code, DamagedWorkbookError)(message[:_MAX_MESSAGE_LETTERS])
                case _:
                    return None
    except ValueError:
        return None
    return None
