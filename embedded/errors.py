"""The exceptions of this package. Their texts are sentences for people."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An error that the user can fix. Print `str()` of it."""


class NotReadyError(EmbeddedError):
    """A started process has ended, or did not answer in time. It does not run any more.

    `how` is the part of the text before the log.
    """

    def __init__(self, how: str, log: str = "") -> None:
        super().__init__(f"{how}; {log}" if log else f"{how}.")
        self.how = how


class Stopped(Exception):  # noqa: N818 (it is not an error: the user asked to end)
    """The wait was given up, because the user asked to end, or another process failed."""
