"""Decides what is to blame if ffmpeg fails: the machine, a limit, a signal, or else the input."""

import errno
import os
import re
import resource
import signal
from collections.abc import Collection
from enum import Enum, auto

from academy.adapters.sandbox.child import CANNOT_START
from academy.adapters.sandbox.trouble import MACHINE, NO_SPACE, is_lowered, may_lack_memory


class Blame(Enum):
    NOBODY = auto()
    """ffmpeg did not fail."""
    INPUT = auto()
    LIMIT = auto()
    """The input needs more memory or CPU time than we allow."""
    MACHINE = auto()
    SIGNAL = auto()
    """A signal ended ffmpeg, such as that of the OOM killer."""


_CANNOT_LOAD = 127
"""The exit code of a program whose libraries are missing."""
_OUR_WORDS = r"^(?! ).*"
"""The beginning of a line that ffmpeg itself wrote. A line that begins with a blank may quote text from the file."""


def _line_with(numbers: Collection[int], *more: str) -> "re.Pattern[str]":
    words = [re.escape(os.strerror(number)) for number in sorted(numbers)]
    return re.compile(rf"{_OUR_WORDS}(?:{'|'.join([*words, *more])})", re.MULTILINE)


_NO_MEMORY = _line_with({errno.ENOMEM}, r"malloc of size \d+ failed", "MemoryError")
_NO_MORE_CPU = re.compile(rf"received signal {signal.SIGXCPU:d}\b|Received > 3 system signals")
"""Messages of an ffmpeg that ran out of CPU time: the kernel then sends SIGXCPU each second, until ffmpeg ends."""
_OUTPUT_FAILED = rf"(?:[Ww]rit|out#|[Oo]utput|avio|hls @).*(?:{os.strerror(errno.EIO)}|{os.strerror(errno.EPERM)})"
_NOT_WRITTEN = r"\[hls @ \w+\] (?:[Ff]ailed to (?:open|rename) file|[Cc]ould not write)"
_NO_SPACE = _line_with(NO_SPACE, _OUTPUT_FAILED, _NOT_WRITTEN)
_NO_THREAD = _line_with((), r"pthread_create\(\) failed")
_MACHINE = _line_with(
    MACHINE,
    r"Traceback \(most recent call last\)",
    "Fatal Python error",
    "error while loading shared libraries",
    rf"received signal (?!{signal.SIGXCPU:d}\b)\d+",
)
"""Messages of our program that starts ffmpeg, or of an ffmpeg that could not read, write or continue. A video that
refers to other files cannot cause these messages, because ffmpeg may use only safe protocols."""
_ENCODER_FAILED = re.compile(rf"{_OUR_WORDS}Error while opening encoder", re.MULTILINE)
"""The encoder did not start. Our options are valid, so threads or memory are missing. The log does not say which."""
_BAD_SIZE = re.compile(rf"{_OUR_WORDS}(?:invalid width x height|Picture size \S+ is invalid)", re.MULTILINE)


def blame(code: int, log: str, *, memory_bytes: int, cpu_seconds: int) -> Blame:
    """Return what is to blame, judging from ffmpeg's exit code (negative for a signal), its log and its limits."""
    # Search for errors of the machine even if ffmpeg ended with 0: after some of them it continues, and leaves out
    # pictures or segments.
    if _NO_SPACE.search(log):
        return Blame.MACHINE
    if _NO_MEMORY.search(log):
        return Blame.MACHINE if may_lack_memory(memory_bytes) else Blame.LIMIT
    if _NO_THREAD.search(log) or (code and _is_trouble(code, log)):
        return Blame.MACHINE
    if code == -signal.SIGXCPU or (code and _NO_MORE_CPU.search(log)):
        return Blame.MACHINE if is_lowered(resource.RLIMIT_CPU, cpu_seconds) else Blame.LIMIT
    if code < 0:
        return Blame.SIGNAL
    return Blame.INPUT if code else Blame.NOBODY


def _is_trouble(code: int, log: str) -> bool:
    if code in {CANNOT_START, _CANNOT_LOAD} or _MACHINE.search(log):
        return True
    if code > 0 and not log.strip():
        return True
    return bool(_ENCODER_FAILED.search(log)) and not _BAD_SIZE.search(log)
