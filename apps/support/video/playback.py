"""Addresses from which a video is played: signed, so that a player needs no token of its own, and short-lived."""

import re
from dataclasses import dataclass

from django.core.signing import BadSignature, TimestampSigner

from academy.domain.videos import video_folder

PLAYBACK_SECONDS = 6 * 3600
FILES = re.compile(r"master\.m3u8|thumbnail\.jpg|[0-9]{1,4}p/(?:index\.m3u8|[0-9]{5}\.ts)", re.ASCII)
"""What may be asked for: what the encoder makes, and nothing else below the folder."""
TYPES = {"m3u8": "application/vnd.apple.mpegurl", "ts": "video/mp2t", "jpg": "image/jpeg"}

_SIGNER = TimestampSigner(salt="video.playback", sep="~")


class PlaybackError(Exception):
    """The address is not valid, or no longer: look at the video again."""


@dataclass(frozen=True, slots=True)
class Playable:
    """One attempt of a video, by whose address whoever has it may play it."""

    tenant_id: int
    video_id: int
    attempt: int

    @property
    def folder(self) -> str:
        return f"{video_folder(self.tenant_id, self.video_id)}/{self.attempt}"


def playback_address(playable: Playable, name: str) -> str:
    """Where a file of a READY video is to be had for six hours; names in its playlists are relative to it."""
    signed = _SIGNER.sign(f"{playable.tenant_id}-{playable.video_id}-{playable.attempt}")
    return f"/media/hls/{signed}/{name}"


def read_playback(signed: str) -> Playable:
    """Raises PlaybackError."""
    try:
        value = _SIGNER.unsign(signed, max_age=PLAYBACK_SECONDS)
        return Playable(*map(int, value.split("-")))
    except (BadSignature, ValueError, TypeError):
        raise PlaybackError(PlaybackError.__doc__) from None
