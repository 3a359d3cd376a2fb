"""Recognises the kind of a workbook: .xlsx and .xls by their content, .csv by the file's name."""

from enum import StrEnum
from pathlib import Path

from academy.adapters.excel.errors import (
    DamagedWorkbookError,
    EmptyWorkbookError,
    WorkbookTooLargeError,
    WrongTypeError,
)
from academy.adapters.excel.limits import MAX_FILE_BYTES


class Kind(StrEnum):
    """A kind of workbook. The value is the suffix of its files."""

    XLSX = ".xlsx"
    XLS = ".xls"
    CSV = ".csv"


_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLANK = b"\xef\xbb\xbf \t\r\n"
_START_BYTES = 512


def check_upload(filename: str, size: int) -> None:
    """Raise an error if an upload with this name and size (bytes) cannot be imported.

    The error is WrongTypeError, WorkbookTooLargeError or EmptyWorkbookError.
    """
    if not filename.lower().endswith(tuple(Kind)):
        raise WrongTypeError
    if size > MAX_FILE_BYTES:
        raise WorkbookTooLargeError
    if size == 0:
        raise EmptyWorkbookError("The file is empty.")


def find_kind(path: Path, filename: str) -> Kind:
    """Return the kind of the workbook at `path`, which was uploaded as `filename`.

    Raises the errors of `check_upload`, and WorkbookError if the content is of no known kind.
    """
    check_upload(filename, path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if start.startswith(_ZIP):
        return Kind.XLSX
    if start.startswith(_OLE):
        return Kind.XLS
    if filename.lower().endswith(Kind.CSV):
        return Kind.CSV
    if start.lstrip(_BLANK).startswith(b"<"):
        raise WrongTypeError("The file is a web page with a workbook's name. Open it in Excel and save it as .xlsx.")
    raise DamagedWorkbookError
