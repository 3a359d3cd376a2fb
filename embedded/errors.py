"""The one exception of this package: its text is a clear sentence for a person."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Something a person can do something about; `str()` of it is what to print."""


class NotReadyError(EmbeddedError):
    """A process that was started has ended, or does not answer in time; it does not run any more.

    `how` is the part of the text that comes before the log.
    """

    def __init__(self, how: str, log: str = "") -> None:
        super().__init__(f"{how}; {log}" if log else f"{how}.")
        self.how = how


class Stopped(Exception):  # noqa: N818 (not an error: the user asked)
    """Raised inside waits when the user asked to end; the text names the signal."""
