"""Opening a workbook of any of the three kinds. Runs within the bounded process only: files may be hostile."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import python_calamine as calamine

from academy.adapters.excel.cells import cell_text
from academy.adapters.excel.errors import (
    DamagedWorkbookError,
    EmptyWorkbookError,
    PasswordProtectedError,
    TooManyRowsError,
    WorkbookTooLargeError,
    WrongTypeError,
)
from academy.adapters.excel.limits import MAX_COLUMNS, MAX_FILE_BYTES, MAX_ROWS
from academy.adapters.excel.used_range import check_unpacked

Lines = Iterator[list[str]]
"""The texts of each line from the sheet's first one on; a line may be empty."""

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_EXCEL_STREAMS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
SUFFIXES = (".xlsx", ".xls", ".csv")


def check_upload(filename: str, size: int) -> None:
    """What can be said without opening the file. Raises WrongTypeError, WorkbookTooLargeError, EmptyWorkbookError."""
    if not filename.lower().endswith(SUFFIXES):
        raise WrongTypeError
    if size > MAX_FILE_BYTES:
        raise WorkbookTooLargeError
    if size == 0:
        raise EmptyWorkbookError("The file is empty.")


def open_sheets(path: Path, filename: str) -> Iterator[Lines]:
    """The sheets, the visible ones first. The content decides how it is read; the name only whether text may be CSV.

    Raises WorkbookError, here or while lines are read.
    """
    check_upload(filename, path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_ZIP):
        _check_xlsx(path)
        return _excel_sheets(path)
    if start.startswith(_OLE):
        _check_ole(path)
        return _excel_sheets(path)
    if filename.lower().endswith(".csv"):
        return iter([_csv_lines(path)])
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise WrongTypeError(
            "The file is a web page with the name of a workbook. Open it in Excel and save it as .xlsx."
        )
    raise DamagedWorkbookError


def _check_xlsx(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names:
                raise WrongTypeError
            check_unpacked(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError, ValueError) as error:
        raise DamagedWorkbookError from error


def _check_ole(path: Path) -> None:
    content = path.read_bytes()
    if _ENCRYPTED in content:
        raise PasswordProtectedError
    if not any(stream in content for stream in _EXCEL_STREAMS):
        raise WrongTypeError


def _excel_sheets(path: Path) -> Iterator[Lines]:
    try:
        with calamine.load_workbook(str(path)) as workbook:
            visible_first = sorted(
                workbook.sheets_metadata, key=lambda sheet: sheet.visible is not calamine.SheetVisibleEnum.Visible
            )
            for sheet in visible_first:
                if sheet.typ is calamine.SheetTypeEnum.WorkSheet:
                    yield _excel_lines(workbook.get_sheet_by_name(sheet.name))
    except calamine.PasswordError as error:
        raise PasswordProtectedError from error
    except (calamine.CalamineError, OSError) as error:
        raise DamagedWorkbookError from error


def _excel_lines(sheet: calamine.CalamineSheet) -> Lines:
    if sheet.end is None:
        return
    last_row, last_column = sheet.end
    if last_row >= MAX_ROWS or last_column >= MAX_COLUMNS:
        raise TooManyRowsError
    # iter_rows begins at line 1, however far down the first cell is.
    for row in sheet.iter_rows():
        yield [cell_text(cell) for cell in row]


def _csv_lines(path: Path) -> Lines:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp949")
        except UnicodeDecodeError as error:
            raise DamagedWorkbookError(
                "The letters of the file cannot be read. Save it in Excel as “CSV UTF-8” or as .xlsx and try once more."
            ) from error
    try:
        for line, row in enumerate(csv.reader(io.StringIO(text, newline="")), start=1):
            if line > MAX_ROWS or len(row) > MAX_COLUMNS:
                raise TooManyRowsError
            yield [cell_text(cell) for cell in row]
    except csv.Error as error:
        raise DamagedWorkbookError from error
