"""Opens a workbook of any kind. This code runs only in the confined process, because files may be hostile."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import python_calamine as calamine

from academy.adapters.excel.cells import cell_text
from academy.adapters.excel.errors import (
    DamagedWorkbookError,
    PasswordProtectedError,
    TooManyRowsError,
    WrongTypeError,
)
from academy.adapters.excel.kinds import Kind, check_upload
from academy.adapters.excel.limits import MAX_COLUMNS, MAX_LINES
from academy.adapters.excel.used_range import check_unpacked
from academy.adapters.sandbox.trouble import is_trouble

__all__ = ["check_upload", "open_sheets"]

Lines = Iterator[list[str]]
"""The texts of each line of a sheet, from the first line on. A line may be empty."""

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_EXCEL_STREAMS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))


def open_sheets(path: Path) -> Iterator[Lines]:
    """Return an iterator over the sheets of a workbook, the visible sheets first. The suffix of `path` is its `Kind`.

    Raises WorkbookError, or OSError if the machine is to blame. The iterators raise the same errors.
    """
    match Kind(path.suffix):
        case Kind.CSV:
            return iter([_csv_lines(path)])
        case Kind.XLSX:
            _check_xlsx(path)
        case Kind.XLS:
            _check_xls(path)
    return _excel_sheets(path)


def _check_xlsx(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names:
                raise WrongTypeError
            check_unpacked(archive)
    except OSError as error:
        if is_trouble(error):
            raise
        raise DamagedWorkbookError from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise DamagedWorkbookError from error


def _check_xls(path: Path) -> None:
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
    except OSError as error:
        if is_trouble(error):
            raise
        raise DamagedWorkbookError from error
    except calamine.CalamineError as error:
        raise DamagedWorkbookError from error


def _excel_lines(sheet: calamine.CalamineSheet) -> Lines:
    if sheet.end is None:
        return
    last_row, last_column = sheet.end
    if last_row >= MAX_LINES or last_column >= MAX_COLUMNS:
        raise TooManyRowsError
    # iter_rows begins at line 1, even if the first cell with content is further down.
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
            if line > MAX_LINES or len(row) > MAX_COLUMNS:
                raise TooManyRowsError
            yield [cell_text(cell) for cell in row]
    except csv.Error as error:
        raise DamagedWorkbookError from error
