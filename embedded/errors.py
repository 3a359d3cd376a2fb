"""The one exception of this package: its text is a clear sentence for a person."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Something a person can do something about; `str()` of it is what to print."""


class Stopped(Exception):  # noqa: N818 (not an error: the user asked)
    """Raised inside waits when the user asked to end; the text names the signal."""
