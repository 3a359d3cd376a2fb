"""The limits on the size of a workbook, and on what reading it may cost."""

MEGABYTE = 1_000_000

MAX_FILE_BYTES = 20 * MEGABYTE
MAX_UNPACKED_BYTES = 200 * MEGABYTE
MAX_ROWS = 50_000
"""The most rows below the header row. Blank rows do not count; invalid ones do."""
MAX_COLUMNS = 256
MAX_HEADER_LINE = 50
"""The header row must be within this many first lines."""
MAX_LINES = MAX_HEADER_LINE + MAX_ROWS
"""No cell may be below this line. It leaves room for `MAX_ROWS` below any header row."""

MAX_MEMORY_BYTES = 1_500 * MEGABYTE
MAX_CPU_SECONDS = 60
MAX_OUTPUT_BYTES = 64 * MEGABYTE
TIMEOUT_SECONDS = 90.0
"""The longest time for reading a workbook. On a busy machine 60 s of CPU time take longer than 60 s."""
