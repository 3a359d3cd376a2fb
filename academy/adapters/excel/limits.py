"""How much of a workbook we are ready to read, and what reading it may cost."""

MEGABYTE = 1_000_000

MAX_FILE_BYTES = 20 * MEGABYTE
MAX_UNPACKED_BYTES = 200 * MEGABYTE
MAX_ROWS = 50_000
"""Rows below the header row that say something: students, good or bad."""
MAX_COLUMNS = 256
MAX_HEADER_LINE = 50
"""The header row has to be among so many first lines."""
MAX_LINES = MAX_HEADER_LINE + MAX_ROWS
"""So that a full list passes wherever its header row stands. Beyond them nothing may stand."""

MAX_MEMORY_BYTES = 1_500 * MEGABYTE
MAX_CPU_SECONDS = 60
MAX_OUTPUT_BYTES = 64 * MEGABYTE
TIMEOUT_SECONDS = 90.0
"""Wall clock, for the whole of reading: two busy cores make 60 s of CPU longer."""
