"""A workbook's cells as texts."""

import datetime as dt

Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta

_MAX_CELL_LETTERS = 500
"""More than any field takes; the rest of a novel in a cell is not carried along."""


def cell_text(cell: Cell) -> str:
    """What the cell shows: whole numbers without `.0`, so that a phone number that became a number keeps its digits."""
    if isinstance(cell, str):
        return cell[:_MAX_CELL_LETTERS]
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
