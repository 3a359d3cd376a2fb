"""Builds old Excel files: an OLE container with one stream, and the records of an .xls in it."""

import struct

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_MINI_CUTOFF = 4096

Cell = str | float


def ole_file(stream_name: str, stream: bytes) -> bytes:
    """Return an OLE file: FAT in sector 0, directory in sector 1, then the stream.

    The stream is padded to a length that needs no mini stream.
    """
    size = max(len(stream), _MINI_CUTOFF)
    sectors = -(-size // _SECTOR)
    fat = [_FAT, _END, *range(3, sectors + 2), _END]
    fat += [_FREE] * (_SECTOR // 4 - len(fat))
    header = struct.pack(
        "<8s16sHHHHH6s9I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6, bytes(6),
        0, 1, 1, 0, _MINI_CUTOFF, _END, 0, _END, 0,
    )  # fmt: skip
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    directory = _entry("Root Entry", 5, 1, _END, 0) + _entry(stream_name, 2, _FREE, 2, size)
    directory = directory.ljust(_SECTOR, b"\0")
    return header + struct.pack(f"<{len(fat)}I", *fat) + directory + stream.ljust(sectors * _SECTOR, b"\0")


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sI8s8sIQ",
        encoded, len(encoded), kind, 1, _FREE, _FREE, child, bytes(16), 0, bytes(8), bytes(8), start, size,
    )  # fmt: skip


def xls_file(cells: dict[tuple[int, int], Cell], *, encrypted: bool = False) -> bytes:
    """Return an .xls (BIFF8) with one sheet. The keys are row and column, counted from 0."""
    sheet = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for (row, column), value in cells.items():
        sheet += _cell(row, column, value)
    sheet += _record(0x0A, b"")
    beginning = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    if encrypted:
        beginning += _record(0x2F, struct.pack("<HHH", 1, 1, 1) + bytes(48))
    offset = len(beginning) + 4 + 6 + 2 + len("명단") * 2 + 4
    bound = struct.pack("<IBBBB", offset, 0, 0, 2, 1) + "명단".encode("utf-16-le")
    return ole_file("Workbook", beginning + _record(0x85, bound) + _record(0x0A, b"") + sheet)


def _cell(row: int, column: int, value: Cell) -> bytes:
    if isinstance(value, str):
        text = struct.pack("<HB", len(value), 1) + value.encode("utf-16-le")
        return _record(0x204, struct.pack("<HHH", row, column, 0) + text)
    return _record(0x203, struct.pack("<HHHd", row, column, 0, value))


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content
