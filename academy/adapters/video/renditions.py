"""In which sizes a video is offered, and the playlists that say so (RFC 8216)."""

import re
from dataclasses import dataclass
from pathlib import Path

from academy.adapters.video.probe import Probe

SHORT_SIDES = (360, 720)
VIDEO_KBITS = {360: 800, 720: 2800}
AUDIO_KBITS = 128
FEWEST_PICTURES, USUAL_PICTURES, MOST_PICTURES = 10.0, 30.0, 60.0
"""A second. The most is what level 4.0 allows."""
CODECS = "avc1.4d4028"
"""H.264, main profile, level 4.0, as the encoder is told."""
AUDIO_CODECS = "mp4a.40.2"

_EXTINF = re.compile(r"^#EXTINF:(\d+(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rendition:
    """One size. Even numbers, as H.264 with half the colours wants them."""

    width: int
    height: int

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    @property
    def name(self) -> str:
        """`360p`: also its folder."""
        return f"{self.short_side}p"

    @property
    def kbits(self) -> int:
        """What the picture may cost a second."""
        return next((VIDEO_KBITS[side] for side in SHORT_SIDES if self.short_side <= side), VIDEO_KBITS[720])


def renditions_of(probe: Probe) -> list[Rendition]:
    """360p and 720p by the shorter side, never above the source; a smaller source in its own size."""
    source = min(probe.width, probe.height)
    sides = [side for side in SHORT_SIDES if side <= source] or [max(2, source - source % 2)]
    return [_scaled(probe, side) for side in sides]


def rate_of(probe: Probe) -> float:
    """Pictures a second, always the same: ffmpeg's playlists tell wrong lengths of a varying rate.

    As the source's closest pictures come, so that no motion is lost. Recorders of varying rate give their clock for
    that, 1000 or 90000 a second.
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
    """A rendition as ffmpeg wrote it: its segments' names and seconds, in order."""

    names: list[str]
    seconds: list[float]


def read_segments(playlist: Path) -> Segments:
    text = playlist.read_text(encoding="utf-8")
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    return Segments(names, [float(seconds) for seconds in _EXTINF.findall(text)])


def master_playlist(folder: Path, renditions: list[Rendition], *, has_audio: bool) -> str:
    """The playlist of playlists; `BANDWIDTH` is what the segments really take (RFC 8216, section 4.3.4.2)."""
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
    """Peak and average, in bits a second."""
    segments = read_segments(folder / "index.m3u8")
    bits = [8 * (folder / name).stat().st_size for name in segments.names]
    peak = max(size / max(0.5, seconds) for size, seconds in zip(bits, segments.seconds, strict=True))
    return round(peak), round(sum(bits) / max(0.5, sum(segments.seconds)))
