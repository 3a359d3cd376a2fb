"""Reading a workbook in a process of its own, behind walls, with limits on memory, CPU, time and output.

A hostile file can make the reader abort, eat memory or run for ever: that costs the process and gives one clear error.
"""

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from academy.adapters.excel import wire
from academy.adapters.excel.errors import DamagedWorkbookError, TimedOutError, WorkbookError, WorkbookTooLargeError
from academy.adapters.excel.kinds import find_kind
from academy.adapters.excel.limits import MAX_CPU_SECONDS, MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES, TIMEOUT_SECONDS
from academy.adapters.sandbox.start import Walls, start_reader
from academy.domain.student_rows import RowProblem, StudentRow

_CHILD = "academy.adapters.excel.child"
_LOG_BYTES = 500


def read_student_rows(
    path: Path, filename: str, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[StudentRow | RowProblem]:
    """The rows of the workbook at `path`, called `filename` by whoever sent it. At least one row.

    Blocks until the process has ended. Raises WorkbookError, whose `code` and `message` are for the teacher.
    """
    kind = find_kind(path, filename)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        # calamine goes by the suffix, and neither a stored file nor its sender is bound to have the right one.
        link = Path(folder, f"workbook{kind}")
        link.symlink_to(path.resolve())
        code = _run(link, answer, log, timeout_seconds)
        answer.seek(0)
        rows = wire.read_answer(answer)
        if rows is not None:
            return rows
        log.seek(0)
        raise _death(code) from ChildDiedError(code, log.read(_LOG_BYTES).decode(errors="replace"))


class ChildDiedError(Exception):
    """The reading process ended without an answer; for the log, not for the teacher."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"The reading process ended with {code}: {log.strip()}")


def _run(path: Path, answer: IO[bytes], log: IO[bytes], timeout_seconds: float) -> int:
    """The exit code."""
    walls = Walls(
        memory_bytes=MAX_MEMORY_BYTES,
        address_bytes=MAX_MEMORY_BYTES,
        cpu_seconds=MAX_CPU_SECONDS,
        file_bytes=MAX_OUTPUT_BYTES,
        reads=[path],
    )
    process = start_reader(_CHILD, [str(path)], walls, stdout=answer, stderr=log)
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired as error:
        raise TimedOutError from error
    finally:
        process.kill()
        process.wait()


def _death(code: int) -> WorkbookError:
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return TimedOutError()
    if code == -signal.SIGABRT:
        # An allocation above the memory limit makes the Rust library abort.
        return WorkbookTooLargeError(
            "The file needs too much memory. Copy the list into a new workbook and try once more."
        )
    return DamagedWorkbookError()
