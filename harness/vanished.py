"""A peer that vanished: it acknowledges nothing any more, and its machine says nothing in its place."""

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
_RETURN_0 = struct.pack("HBBI", 0x06, 0, 0, 0)
"""An instruction of the classic packet filter: of each packet that comes, keep 0 bytes."""


def vanish(peer: socket.socket) -> None:
    """Have the kernel drop all that comes for this socket before TCP sees it. No right of root is needed.

    Closing the socket would not do: the kernel would answer for it that nobody is there.
    """
    program = ctypes.create_string_buffer(_RETURN_0)
    peer.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
