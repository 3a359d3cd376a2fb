"""Turns a workbook's cells into texts."""

import datetime as dt

Cell = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta

_MAX_CELL_LETTERS = 500
"""How many characters of a cell are read: more than any field of a student may have. The rest is cut off."""


def cell_text(cell: Cell) -> str:
    """Return the value of a cell as text. A whole number gets no `.0`, so that a phone number is recognised."""
    if isinstance(cell, str):
        return cell[:_MAX_CELL_LETTERS]
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
