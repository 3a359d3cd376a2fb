"""The exceptions of this package. Their texts are sentences for people."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An error that the user can fix. `str()` of it is a sentence to print."""


class NotReadyError(EmbeddedError):
    """A started process ended, or was ended because it did not answer in time.

    `how` says what happened. The text of the exception is `how`, followed by the end of the process's log.
    """

    def __init__(self, how: str, log: str = "") -> None:
        super().__init__(f"{how}; {log}" if log else f"{how}.")
        self.how = how


class Stopped(Exception):  # noqa: N818 (it is not an error of its own)
    """The wait for a process was given up, because the user asked to end the run, or because another process failed."""
