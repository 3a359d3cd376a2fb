"""`python -m academy.adapters.excel.child <path>`: reads one workbook and tells of it as `wire.py` says.

The limits are set before anything is opened; they cannot be lifted again by what the file makes of this process.
"""

import resource
import sys
from pathlib import Path

from academy.adapters.excel.limits import MAX_CPU_SECONDS, MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES


def limit_resources() -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_SECONDS),
        (resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def main(path: str) -> None:
    limit_resources()
    # The libraries are loaded under the limits too.
    from academy.adapters.excel import wire  # noqa: PLC0415
    from academy.adapters.excel.errors import WorkbookError, WorkbookTooLargeError  # noqa: PLC0415
    from academy.adapters.excel.rows import read_workbook  # noqa: PLC0415

    write = sys.stdout.write
    count = 0
    try:
        for row in read_workbook(Path(path)):
            write(wire.row_line(row) + "\n")
            count += 1
        write(wire.end_line(count) + "\n")
    except WorkbookError as error:
        write(wire.error_line(error) + "\n")
    except MemoryError:
        write(wire.error_line(WorkbookTooLargeError()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
