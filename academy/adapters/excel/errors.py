"""The errors that say why a workbook cannot be read. Each has a `code` for programs and a `message` for the teacher."""

from typing import ClassVar


class WorkbookError(Exception):
    """The workbook cannot be read."""

    code: ClassVar[str]

    def __init__(self, message: str | None = None) -> None:
        self.message = message or type(self).__doc__ or ""
        super().__init__(self.message)


class EmptyWorkbookError(WorkbookError):
    """The file has no students: there is nothing below the header row."""

    code = "empty"


class DamagedWorkbookError(WorkbookError):
    """The file is damaged and cannot be read. Open it in Excel, save it again as .xlsx and try once more."""

    code = "damaged"


class PasswordProtectedError(WorkbookError):
    """The file is protected by a password. Save it without a password and try once more."""

    code = "password_protected"


class HeadersMissingError(WorkbookError):
    """The header row was not found: the sheet needs a column for the name (이름) and one for the parent's phone number (학부모 전화번호)."""  # noqa: E501 - the docstring is the message

    code = "headers_missing"


class WorkbookTooLargeError(WorkbookError):
    """The file is too large: at most 20 MB, and 200 MB unpacked."""

    code = "too_large"


class TooManyRowsError(WorkbookError):
    """The sheet is too long or too wide: at most 50,000 rows of students and 256 columns. Delete what stands outside the list, or split the file."""  # noqa: E501 - the docstring is the message

    code = "too_many_rows"


class WrongTypeError(WorkbookError):
    """The file is no workbook. Send an Excel file (.xlsx or .xls) or a .csv file."""

    code = "wrong_type"


class TimedOutError(WorkbookError):
    """Reading the file took too long. Copy the list into a new workbook and try once more."""

    code = "timed_out"


ERRORS_BY_CODE: dict[str, type[WorkbookError]] = {
    kind.code: kind
    for kind in (
        EmptyWorkbookError,
        DamagedWorkbookError,
        PasswordProtectedError,
        HeadersMissingError,
        WorkbookTooLargeError,
        TooManyRowsError,
        WrongTypeError,
        TimedOutError,
    )
}
