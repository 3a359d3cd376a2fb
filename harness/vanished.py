"""Makes a peer vanish, as if its network failed.

The peer acknowledges no more data, and its kernel does not tell the sender that the socket is closed.
"""

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
_RETURN_0 = struct.pack("HBBI", 0x06, 0, 0, 0)
"""An instruction of the classic packet filter: keep 0 bytes of each packet that arrives."""


def vanish(peer: socket.socket) -> None:
    """Make the kernel drop all packets for this socket before TCP sees them. This needs no root.

    Closing the socket would not be enough: the kernel would then answer that it is closed.
    """
    program = ctypes.create_string_buffer(_RETURN_0)
    peer.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
