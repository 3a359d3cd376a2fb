"""Turns a workbook's cells into texts."""

import datetime as dt

Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta

_MAX_CELL_LETTERS = 500
"""Longer than any field. The rest of a cell is cut off."""


def cell_text(cell: Cell) -> str:
    """Return the text that a cell shows. A whole number has no `.0`, so that a phone number stays one."""
    if isinstance(cell, str):
        return cell[:_MAX_CELL_LETTERS]
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
