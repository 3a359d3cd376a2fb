"""Recognises errors that are the fault of the machine, not of the file that a program was reading."""

import errno
import resource
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_FILES = {errno.ENOENT, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.EBADF, errno.ENOTDIR, errno.EISDIR}
_STORAGE = {
    *{errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOLINK, errno.EHOSTDOWN},  # a network file system
    *{errno.ENOTCONN, errno.ECONNABORTED, errno.ESHUTDOWN},  # a FUSE file system whose process is gone
    *{errno.EUCLEAN, errno.EBADMSG, errno.ENODEV, errno.ENXIO},  # a disk that is damaged or was removed
}
_SYSTEM = {errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOLCK, errno.ENOBUFS, errno.EPIPE, errno.ETXTBSY}
MACHINE = frozenset({*_FILES, *_STORAGE, *_SYSTEM})
"""The error numbers that are always the fault of the machine, like those in `NO_SPACE`. EIO, EPERM, EINVAL and ENOMEM
are not among them, because ffmpeg also reports them for some bad files."""

_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
_NEVER = "2"


def is_trouble(error: OSError) -> bool:
    """Return whether the machine, not the file, is to blame for an error in reading a local file in this process.

    EIO, EPERM and ENOMEM blame the machine, because here they come from the kernel, and not from ffmpeg. EINVAL blames
    the file, because a damaged file can make its parser seek to a negative position.
    """
    return error.errno in NO_SPACE | MACHINE | {errno.EIO, errno.EPERM, errno.ENOMEM}


def is_lowered(kind: int, most: int) -> bool:
    """Return whether this process has a hard limit of this kind (`RLIMIT_…`) that is below `most`.

    The child processes of this process cannot raise that limit.
    """
    hard = resource.getrlimit(kind)[1]
    return hard != resource.RLIM_INFINITY and hard < most


def may_lack_memory(most: int, *, address_space: int | None = None) -> bool:
    """Return whether an allocation may fail before a program fills `most` bytes or reserves `address_space` bytes.

    That is so if this process was started with limits (`ulimit -v`), or if the kernel never overcommits memory.
    Otherwise a kernel that runs out of memory kills processes, and an allocation fails only at the limits that we set.
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
