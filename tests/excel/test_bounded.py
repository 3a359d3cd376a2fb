"""Tests of `read_student_rows` with real files, which the real reading process reads."""

import errno
import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from academy.adapters.excel.bounded import ReaderTroubleError, read_student_rows
from academy.adapters.excel.errors import TimedOutError, TooManyRowsError, WorkbookError, WorkbookTooLargeError
from academy.adapters.excel.limits import MAX_MEMORY_BYTES
from academy.adapters.sandbox.start import start_reader
from academy.adapters.sandbox.trouble import is_trouble
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow
from embedded.home import PROJECT
from tests.excel.ole import ole_file, xls_file

SHEET = "xl/worksheets/sheet1.xml"
Cells = dict[str, Any]
Save = Callable[[str, bytes], Path]

GOOD: Cells = {"A1": "이름", "B1": "학부모 전화", "A2": "김민준", "B2": 1012345678}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def xlsx(*sheets: Cells) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for cells in sheets:
        sheet = book.create_sheet()
        for place, value in cells.items():
            sheet[place] = value
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def lines(rows: dict[int, list[Any]]) -> Cells:
    """Return the cells of these lines by address, such as `B3`. Each line begins in column A."""
    return {f"{chr(65 + place)}{line}": cell for line, cells in rows.items() for place, cell in enumerate(cells)}


def xlsx_with(changes: dict[str, bytes]) -> bytes:
    """Return a good workbook in which these parts of the archive are replaced."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx(GOOD))) as good,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in good.namelist():
            new.writestr(name, changes.get(name, good.read(name)))
    return content.getvalue()


def sheet_xml(rows: bytes) -> bytes:
    """Return the XML of the good sheet with these rows added at its end."""
    with zipfile.ZipFile(io.BytesIO(xlsx(GOOD))) as good:
        return good.read(SHEET).replace(b"</sheetData>", rows + b"</sheetData>")


def test_a_typical_list_of_an_academy_is_read(save: Save) -> None:
    cells = lines(
        {
            1: ["", "수강생 명단"],
            3: ["번호", "학교", "학생명", "보호자 연락처", "학년", "학생 전화", "비고"],
            4: [1, "한빛중", "김민준", 1012345678, 2, "010-1111-2222"],
            5: [2],
            7: ["", "", "  이  서연 ", "+82 10-2222-3333", "", "", "형제"],
            8: ["", "", "박지호", "02-123-4567"],
            9: ["", "", "", "", "", "", "합계 3명"],
        }
    )
    rows = read_student_rows(save("list.xlsx", xlsx(cells)), "명단.XLSX")
    assert rows == [
        StudentRow(4, "김민준", "01012345678", "01011112222", "한빛중", "2"),
        StudentRow(7, "이 서연", "01022223333"),
        RowProblem(8, ProblemCode.PHONE_INVALID, "박지호"),
    ]


def test_the_sheet_with_the_header_row_is_read_at_any_position(save: Save) -> None:
    rows = read_student_rows(save("list.xlsx", xlsx({"A1": "안내문"}, {}, GOOD)), "list.xlsx")
    assert rows == [StudentRow(2, "김민준", "01012345678")]


def test_an_old_xls_workbook_is_read(save: Save) -> None:
    cells: dict[tuple[int, int], str | float] = {(0, 0): "명단", (2, 0): "이름", (2, 1): "학부모 전화"}
    cells |= {(4, 0): "김민준", (4, 1): 1012345678.0}
    assert read_student_rows(save("list.xls", xls_file(cells)), "list.xls") == [StudentRow(5, "김민준", "01012345678")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_csv_is_read_in_both_encodings(save: Save, encoding: str) -> None:
    text = '명단\r\n이름,학부모 전화,학교\r\n\r\n김민준,1012345678,"한빛\r\n중"\r\n이서연,010-2222-3333\r\n'
    assert read_student_rows(save("list.csv", text.encode(encoding)), "list.csv") == [
        StudentRow(4, "김민준", "01012345678", school="한빛 중"),
        StudentRow(5, "이서연", "01022223333"),
    ]


def test_the_content_decides_the_format_not_the_file_name(save: Save) -> None:
    assert len(read_student_rows(save("list.csv", xlsx(GOOD)), "list.csv")) == 1


def test_blank_formatted_cells_far_down_do_not_count(save: Save) -> None:
    content = xlsx_with({SHEET: sheet_xml(b'<row r="1048576"><c r="XFD1048576" s="0"/></row>')})
    assert len(read_student_rows(save("list.xlsx", content), "list.xlsx")) == 1


def test_the_last_allowed_line_and_column_are_read(save: Save) -> None:
    cells = {"A50": "이름", "IV50": "학부모 전화", "A50050": "김민준", "IV50050": "010-1234-5678"}
    rows = read_student_rows(save("list.xlsx", xlsx(cells)), "list.xlsx")
    assert rows == [StudentRow(50_050, "김민준", "01012345678")]


@pytest.mark.parametrize("above", [0, 49])
def test_fifty_thousand_students_are_read_and_one_more_is_refused_wherever_the_header_row_is(
    save: Save, above: int
) -> None:
    lines = [*["명단"] * above, "이름,학부모 전화", *["김민준,01012345678"] * 50_000]
    rows = read_student_rows(save("list.csv", "\n".join(lines).encode()), "list.csv")
    assert len(rows) == 50_000
    with pytest.raises(TooManyRowsError):
        read_student_rows(save("long.csv", "\n".join([*lines, lines[-1]]).encode()), "long.csv")


BAD: list[tuple[str, str, Callable[[], bytes]]] = [
    ("empty", "list.xlsx", bytes),
    ("empty", "list.xlsx", lambda: xlsx({}, {})),
    ("empty", "list.csv", lambda: b"\r\n,,\r\n"),
    ("empty", "list.xlsx", lambda: xlsx({"A1": "이름", "B1": "학부모 전화"})),
    (
        "headers_missing",
        "list.xlsx",
        lambda: xlsx({"A1": "이름", "B1": "전화번호", "A2": "김민준", "B2": "01012345678"}),
    ),
    ("headers_missing", "list.csv", "김민준,01012345678\n".encode),
    ("damaged", "list.xlsx", lambda: xlsx(GOOD)[:3000]),
    ("damaged", "list.xlsx", lambda: xlsx_with({SHEET: b"<worksheet><sheetData><row"})),
    ("damaged", "list.xlsx", lambda: b"\x00\x01" * 500),
    ("damaged", "list.xls", lambda: xls_file({(0, 0): "이름"})[:1800]),
    ("damaged", "list.csv", lambda: "이름,학부모 전화".encode("utf-16")),
    ("password_protected", "list.xlsx", lambda: ole_file("EncryptedPackage", b"")),
    ("password_protected", "list.xls", lambda: xls_file({(0, 0): "이름"}, encrypted=True)),
    ("wrong_type", "list.pdf", lambda: b"%PDF-1.7"),
    ("wrong_type", "list", lambda: xlsx(GOOD)),
    ("wrong_type", "list.xls", lambda: ole_file("WordDocument", b"")),
    ("wrong_type", "list.xls", lambda: b"\xef\xbb\xbf\n<html><table>"),
    ("wrong_type", "list.xlsx", lambda: xlsx_with({}).replace(b"xl/workbook.xml", b"xl/document.xml")),
    ("too_many_rows", "list.xlsx", lambda: xlsx({**GOOD, "XFD1048576": "x"})),
    ("too_many_rows", "list.xlsx", lambda: xlsx({**GOOD, "A50051": "x"})),
    ("too_many_rows", "list.xlsx", lambda: xlsx({**GOOD, "IW1": "x"})),
    ("too_many_rows", "list.xls", lambda: xls_file({(65_535, 255): "x"})),
    ("too_many_rows", "list.csv", lambda: "이름,학부모 전화\n".encode() + b"\n" * 50_050),
    ("too_many_rows", "list.csv", lambda: b"," * 256),
    ("too_large", "list.xlsx", lambda: os.urandom(20_000_001)),
    ("too_large", "list.xlsx", lambda: xlsx_with({"xl/styles.xml": bytes(200_000_001)})),
]


@pytest.mark.parametrize(("code", "name", "content"), BAD, ids=[f"{code}-{n}" for n, (code, _, _) in enumerate(BAD)])
def test_an_unreadable_file_is_refused_with_the_reason(
    save: Save, code: str, name: str, content: Callable[[], bytes]
) -> None:
    path = save("upload", content())
    with pytest.raises(WorkbookError) as caught:
        read_student_rows(path, name)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


def test_a_far_cell_hidden_from_the_check_aborts_only_the_reading_process(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row has 4,000,000 cells without a reference.

    The test lowers the memory limit to a fifth, and calamine needs more than that for these cells.
    """
    monkeypatch.setattr("academy.adapters.excel.bounded.MAX_MEMORY_BYTES", MAX_MEMORY_BYTES // 5)
    content = xlsx_with({SHEET: sheet_xml(b'<row r="3">' + b"<c><v>1</v></c>" * 4_000_000 + b"</row>")})
    path = save("list.xlsx", content)
    with pytest.raises(WorkbookError) as caught:
        read_student_rows(path, "list.xlsx")
    assert caught.value.code == "too_large"


def test_an_archive_that_declares_a_wrong_size_is_refused_as_damaged(save: Save) -> None:
    """The central directory declares 100 bytes for a part that unpacks to 300 MB."""
    content = xlsx_with({SHEET: bytes(300_000_000)})
    honest = (300_000_000).to_bytes(4, "little")
    assert content.count(honest) >= 1
    path = save("list.xlsx", content.replace(honest, (100).to_bytes(4, "little")))
    with pytest.raises(WorkbookError) as caught:
        read_student_rows(path, "list.xlsx")
    assert caught.value.code == "damaged"


def test_reading_that_waits_too_long_is_ended_and_not_blamed_on_the_workbook(save: Save) -> None:
    path = save("list.xlsx", xlsx(GOOD))
    with pytest.raises(ReaderTroubleError, match=r"did not end within 0\.001 s"):
        read_student_rows(path, "list.xlsx", timeout_seconds=0.001)


def test_reading_that_uses_too_much_processor_time_is_ended(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("academy.adapters.excel.bounded.MAX_CPU_SECONDS", 1)
    content = xlsx_with({SHEET: sheet_xml(b'<row r="3">' + b"<c><v>1</v></c>" * 4_000_000 + b"</row>")})
    with pytest.raises(TimedOutError):
        read_student_rows(save("list.xlsx", content), "list.xlsx")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGBUS], ids=lambda number: number.name)
def test_a_reader_ended_by_a_signal_is_not_blamed_on_the_workbook(
    number: signal.Signals, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The OOM killer sends SIGKILL, an operator SIGTERM, and the kernel SIGBUS if the disk of a mapped file fails."""

    def start_and_end(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        process = start_reader(*arguments, **options)
        process.send_signal(number)
        return process

    monkeypatch.setattr("academy.adapters.excel.bounded.start_reader", start_and_end)
    with pytest.raises(ReaderTroubleError, match=f"ended with {-number}"):
        read_student_rows(save("list.xlsx", xlsx(GOOD)), "list.xlsx")


def test_a_full_disk_is_not_blamed_on_the_workbook(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def start_full(*arguments: Any, stdout: object, **options: Any) -> "subprocess.Popen[bytes]":
        with Path("/dev/full").open("wb") as full:
            return start_reader(*arguments, stdout=full, **options)

    monkeypatch.setattr("academy.adapters.excel.bounded.start_reader", start_full)
    with pytest.raises(ReaderTroubleError, match="No space left on device"):
        read_student_rows(save("list.xlsx", xlsx(GOOD)), "list.xlsx")


def test_an_answer_longer_than_allowed_is_blamed_on_the_workbook(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("academy.adapters.excel.bounded.MAX_OUTPUT_BYTES", 10_000)
    text = "이름,학부모 전화\n" + "김민준,01012345678\n" * 1000
    with pytest.raises(WorkbookTooLargeError):
        read_student_rows(save("list.csv", text.encode()), "list.csv")


@pytest.mark.parametrize("kilobytes", [8_000, 16_000, 22_000, 26_000])
def test_a_worker_with_a_low_memory_limit_blames_no_workbook(save: Save, kilobytes: int) -> None:
    path = save("list.csv", ("이름,학부모 전화\n" + "김민준,01012345678\n" * 40_000).encode())
    read = (
        "import resource, sys, pathlib\n"
        "from academy.adapters.excel import bounded\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({kilobytes * 1024}, {kilobytes * 1024}))\n"
        "try:\n"
        "    print(len(bounded.read_student_rows(pathlib.Path(sys.argv[1]), 'list.csv')))\n"
        "except bounded.WorkbookError as error:\n"
        "    print('blamed', repr(error))\n"
        "except (bounded.ReaderTroubleError, OSError, MemoryError):\n"
        "    print('trouble')\n"
    )
    run = subprocess.run([sys.executable, "-c", read, path], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.stdout.strip() in {"trouble", "40000"}, run.stderr


def test_a_failing_disk_is_distinguished_from_a_damaged_file() -> None:
    assert is_trouble(OSError(errno.EIO, "read"))
    assert is_trouble(OSError(errno.ESTALE, "read"))
    assert not is_trouble(OSError(errno.EINVAL, "a seek to where no file goes"))
    assert not is_trouble(OSError("without a number"))


def test_the_reading_process_does_not_see_our_secrets(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test sets a variable to a value with which Python does not start.

    A process that inherited it would end at once.
    """
    monkeypatch.setenv("PYTHONHASHSEED", "no number")
    assert len(read_student_rows(save("list.xlsx", xlsx(GOOD)), "list.xlsx")) == 1
