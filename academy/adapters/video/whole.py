"""Checks that ffmpeg's files are whole, because ffmpeg reports no error if only a part of a segment was written."""

from pathlib import Path

from academy.adapters.video.renditions import Segments, read_segments

_PACKET = 188
_SYNC = 0x47
_PICTURE_BEGINS = (0x41, 0x00)
"""The second and third byte of a packet in which a picture begins: together, the start flag (0x4000) and the id of
ffmpeg's first stream (0x0100)."""
_END_OF_PLAYLIST = "#EXT-X-ENDLIST"
_END_OF_JPEG = b"\xff\xd9"
_TOLERANCE_PICTURES = 1.5
"""How many pictures a segment may lack: lengths in the playlist are rounded, and a picture at a boundary may belong to
either segment."""


def whole_segments(folder: Path, rate: float) -> Segments:
    """Return the segments of a rendition with `rate` pictures a second. Raises OSError if a segment is not whole."""
    playlist = folder / "index.m3u8"
    segments = read_segments(playlist)
    if _END_OF_PLAYLIST not in playlist.read_text(encoding="utf-8"):
        raise OSError(f"The playlist of {folder.name} breaks off, although ffmpeg wrote it.")
    for name, seconds in zip(segments.names, segments.seconds, strict=True):
        if not _is_whole(folder / name, seconds * rate):
            raise OSError(f"Segment {name} of {folder.name} is missing or breaks off, although ffmpeg wrote it.")
    return segments


def is_whole_jpeg(path: Path) -> bool:
    return path.exists() and path.read_bytes().endswith(_END_OF_JPEG)


def _is_whole(file: Path, pictures: float) -> bool:
    """Return whether the file is an MPEG transport stream of complete packets, with enough pictures.

    `pictures` is the expected number. The file must lack fewer than `_TOLERANCE_PICTURES` of them.
    """
    if not file.is_file():
        return False
    stream = file.read_bytes()
    packets, rest = divmod(len(stream), _PACKET)
    if not packets or rest or stream[::_PACKET].count(_SYNC) != packets:
        return False
    begin = zip(stream[1::_PACKET], stream[2::_PACKET], strict=True)
    found = sum(1 for pair in begin if pair == _PICTURE_BEGINS)
    return found > pictures - _TOLERANCE_PICTURES
