"""Reads one workbook and tells of it as `wire.py` says. Its arguments: the order of its walls, and the workbook's path.

The limits are set before anything is loaded, the walls raised before anything is opened; they cannot be lifted again by
what the file makes of this process.
"""

import sys
from pathlib import Path

from academy.adapters.sandbox.enter import Order


def main() -> None:
    order = Order(sys.argv[1])
    order.end_with_parent()
    order.set_limits()
    # The libraries are loaded under the limits too.
    from academy.adapters.excel import wire  # noqa: PLC0415
    from academy.adapters.excel.errors import WorkbookError, WorkbookTooLargeError  # noqa: PLC0415
    from academy.adapters.excel.rows import read_workbook  # noqa: PLC0415

    order.raise_walls(may_execute=False)
    write = sys.stdout.write
    count = 0
    try:
        for row in read_workbook(Path(sys.argv[2])):
            write(wire.row_line(row) + "\n")
            count += 1
        write(wire.end_line(count) + "\n")
    except WorkbookError as error:
        write(wire.error_line(error) + "\n")
    except MemoryError:
        write(wire.error_line(WorkbookTooLargeError()) + "\n")
