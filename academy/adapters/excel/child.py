"""Reads one workbook and tells of it as `wire.py` says. Its arguments: the order of its walls, and the workbook's path.

The limits are set before anything is loaded, the walls raised before anything is opened; they cannot be lifted again by
what the file makes of this process.

Its exit code is 0, or one of those below. Every other one says that the machine is to blame, and not the workbook.
"""

import errno
import os
import sys
from pathlib import Path

from academy.adapters.sandbox.enter import Order

READING_FAILED, NO_MEMORY, ANSWER_TOO_LONG = 65, 66, 67
_TROUBLE = 75


def main() -> None:
    order = Order(sys.argv[1])
    order.end_with_parent()
    order.set_limits()
    # The libraries are loaded under the limits too.
    from academy.adapters.excel import wire  # noqa: PLC0415
    from academy.adapters.excel.errors import WorkbookError  # noqa: PLC0415
    from academy.adapters.excel.rows import read_workbook  # noqa: PLC0415

    order.raise_walls(may_execute=False)
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
    except BaseException as error:  # noqa: BLE001 - a panic of the Rust library is no Exception
        _end(READING_FAILED, f"{type(error).__name__}: {error}")


def _end(code: int, said: str) -> None:
    """End at once: what is not written yet is worth nothing."""
    sys.stderr.write(f"{said}\n")
    sys.stderr.flush()
    os._exit(code)
