"""What a machine lacks or breaks: errors for which no file is to blame, whatever a program was reading meanwhile."""

import errno
import resource
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_FILES = {errno.ENOENT, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.EBADF, errno.ENOTDIR, errno.EISDIR}
_STORAGE = {
    *{errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOLINK, errno.EHOSTDOWN},  # a network's disk
    *{errno.ENOTCONN, errno.ECONNABORTED, errno.ESHUTDOWN},  # a FUSE whose process is gone
    *{errno.EUCLEAN, errno.EBADMSG, errno.ENODEV, errno.ENXIO},  # a disk that is damaged or was taken away
}
_SYSTEM = {errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOLCK, errno.ENOBUFS, errno.EPIPE, errno.ETXTBSY}
MACHINE = frozenset({*_FILES, *_STORAGE, *_SYSTEM})
"""Beside those of `NO_SPACE`. EIO, EPERM, EINVAL and ENOMEM are not there: parsers say these of some files, too."""

_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
_NEVER = "2"


def is_trouble(error: OSError) -> bool:
    """Whether the machine is to blame for an error of reading a local file. Parsers use EINVAL for bad files."""
    return error.errno in NO_SPACE | MACHINE | {errno.EIO, errno.EPERM, errno.ENOMEM}


def is_lowered(kind: int, most: int) -> bool:
    """Whether this process was started with a limit below `most`, so that what it starts cannot get that much."""
    hard = resource.getrlimit(kind)[1]
    return hard != resource.RLIM_INFINITY and hard < most


def may_lack_memory(most: int, *, address_space: int | None = None) -> bool:
    """Whether an allocation may be refused before a program fills `most` bytes, or reserves `address_space` bytes.

    Limits that this process was started with (`ulimit -v`) do that, and a kernel that promises no memory that it does
    not have. Otherwise a machine that lacks memory kills, and only the limits that we set refuse.
    """
    reserved = resource.getrlimit(resource.RLIMIT_AS)[0]
    if reserved != resource.RLIM_INFINITY and (address_space is None or reserved < address_space):
        return True
    return is_lowered(resource.RLIMIT_DATA, most) or _refuses_memory()


def _refuses_memory() -> bool:
    try:
        return _OVERCOMMIT.read_text(encoding="ascii").strip() == _NEVER
    except OSError:
        return False
