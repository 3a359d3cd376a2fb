"""The limits on the size of a workbook, and on the memory, time and output of the process that reads it."""

MEGABYTE = 1_000_000

MAX_FILE_BYTES = 20 * MEGABYTE
MAX_UNPACKED_BYTES = 200 * MEGABYTE
MAX_ROWS = 50_000
"""How many rows may be below the header row. Invalid rows count, blank rows do not."""
MAX_COLUMNS = 256
MAX_HEADER_LINE = 50
"""The header row must be one of the first 50 lines."""
MAX_LINES = MAX_HEADER_LINE + MAX_ROWS
"""The last line that may have a cell. It leaves space for `MAX_ROWS` rows even if the header row is in line
`MAX_HEADER_LINE`."""

MAX_MEMORY_BYTES = 1_500 * MEGABYTE
MAX_CPU_SECONDS = 60
MAX_OUTPUT_BYTES = 64 * MEGABYTE
TIMEOUT_SECONDS = 90.0
"""How long reading a workbook may take. This is longer than `MAX_CPU_SECONDS`, because on a busy machine the reading
process does not have a CPU all the time."""
