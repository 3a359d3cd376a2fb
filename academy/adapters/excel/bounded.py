"""Reads a workbook in a separate, confined process, with limits on memory, CPU, time and output.

A hostile file can make the reader abort, fill its memory or run for ever. In these cases only the reading process ends,
and the caller gets one clear error.
"""

import resource
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from academy.adapters.excel import wire
from academy.adapters.excel.child import ANSWER_TOO_LONG, NO_MEMORY, READING_FAILED
from academy.adapters.excel.errors import DamagedWorkbookError, TimedOutError, WorkbookError, WorkbookTooLargeError
from academy.adapters.excel.kinds import find_kind
from academy.adapters.excel.limits import MAX_CPU_SECONDS, MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES, TIMEOUT_SECONDS
from academy.adapters.sandbox.start import Walls, start_reader
from academy.adapters.sandbox.trouble import is_lowered, may_lack_memory
from academy.domain.student_rows import RowProblem, StudentRow

_CHILD = "academy.adapters.excel.child"
_ALLOCATION_FAILED = "memory allocation of"
_LOG_BYTES = 500


def read_student_rows(
    path: Path, filename: str, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> list[StudentRow | RowProblem]:
    """Return the rows of the workbook at `path`, which was uploaded as `filename`. There is at least one row.

    Blocks until the reading process has ended. Raises WorkbookError if the workbook is to blame: its `message`
    is for the teacher. Raises ReaderTroubleError or OSError for any other failure.
    """
    kind = find_kind(path, filename)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        # calamine chooses a parser by the suffix, which may be wrong or missing in `path` and in `filename`.
        link = Path(folder, f"workbook{kind}")
        link.symlink_to(path.resolve())
        code = _run(link, answer, log, timeout_seconds)
        answer.seek(0)
        rows = wire.read_answer(answer)
        if rows is not None:
            return rows
        log.seek(0)
        said = f"The reading process ended with {code}: {log.read(_LOG_BYTES).decode(errors='replace').strip()}"
        if error := _workbook_error(code, said):
            raise error from ReaderDiedError(said)
        raise ReaderTroubleError(said)


class ReaderDiedError(Exception):
    """The reading process ended without an answer. The message is for the log, not for the teacher."""


class ReaderTroubleError(ReaderDiedError):
    """The reading process failed for a reason that is not the workbook's fault. Another attempt may succeed."""


def _run(path: Path, answer: IO[bytes], log: IO[bytes], timeout_seconds: float) -> int:
    """Run the reading process and return its exit code."""
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
        # The limit on CPU time would have ended a busy process. So this process was waiting for a disk, or the
        # machine was paused.
        raise ReaderTroubleError(f"The reading process did not end within {timeout_seconds:g} s.") from error
    finally:
        process.kill()
        process.wait()


def _workbook_error(code: int, log: str) -> WorkbookError | None:
    """Return what is wrong with the workbook. Return None if the exit code and the log do not blame the workbook."""
    if code == READING_FAILED:
        return DamagedWorkbookError()
    if code == -signal.SIGXCPU and not is_lowered(resource.RLIMIT_CPU, MAX_CPU_SECONDS):
        return TimedOutError()
    # An allocation above the memory limit makes the Rust library abort.
    no_memory = code == NO_MEMORY or (code == -signal.SIGABRT and _ALLOCATION_FAILED in log)
    if no_memory and not may_lack_memory(MAX_MEMORY_BYTES, address_space=MAX_MEMORY_BYTES):
        return WorkbookTooLargeError(
            "The file needs too much memory. Copy the list into a new workbook and try once more."
        )
    if code == ANSWER_TOO_LONG and not is_lowered(resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES):
        return WorkbookTooLargeError()
    return None
