"""The sizes in which a video is encoded, and their playlists (RFC 8216)."""

import re
from dataclasses import dataclass
from pathlib import Path

from academy.adapters.video.probe import Probe

SHORT_SIDES = (360, 720)
VIDEO_KBITS = {360: 800, 720: 2800}
AUDIO_KBITS = 128
FEWEST_PICTURES, USUAL_PICTURES, MOST_PICTURES = 10.0, 30.0, 60.0
"""Rates in pictures a second. H.264, level 4.0, allows no more than `MOST_PICTURES` for 720p."""
CODECS = "avc1.4d4028"
"""H.264, main profile, level 4.0, as in the options of the encoder."""
AUDIO_CODECS = "mp4a.40.2"

_EXTINF = re.compile(r"^#EXTINF:(\d+(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A size of the video. Width and height are even, as H.264 with 4:2:0 chroma requires."""

    width: int
    height: int

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    @property
    def name(self) -> str:
        """The name of this size and of its folder, such as `360p`."""
        return f"{self.short_side}p"

    @property
    def kbits(self) -> int:
        """The highest bit rate of the picture, in kbit/s."""
        return next((VIDEO_KBITS[side] for side in SHORT_SIDES if self.short_side <= side), VIDEO_KBITS[720])


def renditions_of(probe: Probe) -> list[Rendition]:
    """Return the sizes to encode: 360p and 720p, but none larger than the source.

    A source smaller than 360p is encoded in its own size.
    """
    source = min(probe.width, probe.height)
    sides = [side for side in SHORT_SIDES if side <= source] or [max(2, source - source % 2)]
    return [_scaled(probe, side) for side in sides]


def rate_of(probe: Probe) -> float:
    """Return the rate of the encoded video, from `FEWEST_PICTURES` to `MOST_PICTURES`.

    The rate is constant, because with a varying rate ffmpeg's playlists have wrong lengths. It is the `finest_rate` of
    the source, so that no motion is lost. Without a `finest_rate`, it is the average rate. Without either, it is
    `USUAL_PICTURES`.

    If the source has a varying rate, its `finest_rate` may be the frequency of its clock (1000 or 90000 Hz). For any
    `finest_rate` above `MOST_PICTURES`, the average rate is used instead, but at least `USUAL_PICTURES`.
    """
    rate = probe.finest_rate or probe.frame_rate or USUAL_PICTURES
    if rate > MOST_PICTURES:
        rate = max(USUAL_PICTURES, probe.frame_rate or 0.0)
    return min(MOST_PICTURES, max(FEWEST_PICTURES, rate))


def _scaled(probe: Probe, side: int) -> Rendition:
    long = max(2, round(max(probe.width, probe.height) * side / min(probe.width, probe.height) / 2) * 2)
    return Rendition(side, long) if probe.width < probe.height else Rendition(long, side)


@dataclass(frozen=True, slots=True)
class Segments:
    """The names of a rendition's segments, and their lengths in seconds, in the order of the playlist."""

    names: list[str]
    seconds: list[float]


def read_segments(playlist: Path) -> Segments:
    text = playlist.read_text(encoding="utf-8")
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    return Segments(names, [float(seconds) for seconds in _EXTINF.findall(text)])


def master_playlist(folder: Path, renditions: list[Rendition], *, has_audio: bool) -> str:
    """Return the master playlist. `BANDWIDTH` is measured from the segments (RFC 8216, section 4.3.4.2)."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    codecs = f"{CODECS},{AUDIO_CODECS}" if has_audio else CODECS
    for rendition in renditions:
        peak, average = _bandwidth(folder / rendition.name)
        size = f"{rendition.width}x{rendition.height}"
        rates = f"BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}"
        lines.append(f'#EXT-X-STREAM-INF:{rates},RESOLUTION={size},CODECS="{codecs}"')
        lines.append(f"{rendition.name}/index.m3u8")
    return "\n".join(lines) + "\n"


def _bandwidth(folder: Path) -> tuple[int, int]:
    """Return the peak and the average bit rate of a rendition, in bits a second."""
    segments = read_segments(folder / "index.m3u8")
    bits = [8 * (folder / name).stat().st_size for name in segments.names]
    peak = max(size / max(0.5, seconds) for size, seconds in zip(bits, segments.seconds, strict=True))
    return round(peak), round(sum(bits) / max(0.5, sum(segments.seconds)))
