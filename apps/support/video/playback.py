"""Short-lived, signed addresses from which a video is played. A player needs no token for them."""

import re
from dataclasses import dataclass

from django.core.signing import BadSignature, TimestampSigner

from academy.domain.videos import video_folder

PLAYBACK_SECONDS = 6 * 3600
FILES = re.compile(r"master\.m3u8|thumbnail\.jpg|[0-9]{1,4}p/(?:index\.m3u8|[0-9]{5}\.ts)", re.ASCII)
"""The files that may be requested: only those that the encoder makes."""
TYPES = {"m3u8": "application/vnd.apple.mpegurl", "ts": "video/mp2t", "jpg": "image/jpeg"}

_SIGNER = TimestampSigner(salt="video.playback", sep="~")


class PlaybackError(Exception):
    """The address is wrong or has expired: request the video again to get a new one."""


@dataclass(frozen=True, slots=True)
class Playable:
    """One attempt of a video. Anybody who has its signed address may play this attempt."""

    tenant_id: int
    video_id: int
    attempt: int

    @property
    def folder(self) -> str:
        return f"{video_folder(self.tenant_id, self.video_id)}/{self.attempt}"


def playback_address(playable: Playable, name: str) -> str:
    """Return an address for a file of a READY video. The address is valid for six hours.

    Playlists contain relative addresses, so a player requests all files of the video with the same signature.
    """
    signed = _SIGNER.sign(f"{playable.tenant_id}-{playable.video_id}-{playable.attempt}")
    return f"/media/hls/{signed}/{name}"


def read_playback(signed: str) -> Playable:
    """Return the attempt that a signed address belongs to. Raises PlaybackError for a wrong or expired address."""
    try:
        value = _SIGNER.unsign(signed, max_age=PLAYBACK_SECONDS)
        return Playable(*map(int, value.split("-")))
    except (BadSignature, ValueError, TypeError):
        raise PlaybackError(PlaybackError.__doc__) from None
