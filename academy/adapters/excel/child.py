"""The program of the reading process: it reads one workbook, and writes the rows in the format of `wire.py`.

Its arguments are a `Confinement` as JSON and the workbook's path. It sets the limits before it imports the libraries.
Before it opens the workbook, it gives up access to other files, the network and other processes. Nothing in a workbook
can undo this confinement.

Its exit code is 0 after an answer, or one of the constants below, unless a signal ends it.
"""

import errno
import os
import sys
from pathlib import Path

from academy.adapters.sandbox.enter import Confinement

READING_FAILED, NO_MEMORY, ANSWER_TOO_LONG = 65, 66, 67
_TROUBLE = 75


def main() -> None:
    confinement = Confinement(sys.argv[1])
    confinement.end_with_parent()
    confinement.set_limits()
    # Import the libraries only now, so that the limits also hold for the import.
    from academy.adapters.excel import wire  # noqa: PLC0415
    from academy.adapters.excel.errors import WorkbookError  # noqa: PLC0415
    from academy.adapters.excel.rows import read_workbook  # noqa: PLC0415

    confinement.raise_walls(may_execute=False)
    write = sys.stdout.write
    count = 0
    try:
        for row in read_workbook(Path(sys.argv[2])):
            write(wire.row_line(row) + "\n")
            count += 1
        write(wire.end_line(count) + "\n")
        sys.stdout.flush()
    except WorkbookError as error:
        write(wire.error_line(error) + "\n")
    except MemoryError:
        _end(NO_MEMORY, "MemoryError")
    except OSError as error:
        _end(ANSWER_TOO_LONG if error.errno == errno.EFBIG else _TROUBLE, f"{error}")
    except BaseException as error:  # noqa: BLE001 - a panic of the Rust library is a BaseException
        _end(READING_FAILED, f"{type(error).__name__}: {error}")


def _end(code: int, said: str) -> None:
    """Log `said` and end the process at once, without writing the rest of the answer."""
    sys.stderr.write(f"{said}\n")
    sys.stderr.flush()
    os._exit(code)
