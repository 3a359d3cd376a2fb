"""What the kernel knows of the peer of a transport: whether it is silent, and when to give it up."""

import socket
from typing import Any

SILENT_RETRANSMITS = 4
"""After this many retransmissions in a row the peer counts as gone. They take at least 3 s, because the kernel doubles
its pause each time, from 0.2 s."""
_RETRANSMITS = 2
"""The offset of the number of retransmissions in the kernel's `struct tcp_info`."""


def give_up_silent(transport: Any, seconds: float) -> None:
    """Let the kernel close the socket if data are not acknowledged for this many seconds (0: the kernel's default).

    A peer that vanished does not close its connection, and by default the kernel retransmits for up to 15 minutes.
    This needs Linux and a TCP socket. Otherwise it does nothing.
    """
    peer = _socket_of(transport)
    if peer is not None and _is_tcp(peer) and hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def is_silent(transport: Any) -> bool:
    """Return whether the peer did not acknowledge data that the kernel retransmitted several times.

    Return False if the operating system does not provide this information.
    """
    peer = _socket_of(transport)
    if peer is None or not _is_tcp(peer) or not hasattr(socket, "TCP_INFO"):
        return False
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RETRANSMITS + 1)
    return len(info) > _RETRANSMITS and info[_RETRANSMITS] >= SILENT_RETRANSMITS


def _socket_of(transport: Any) -> Any:
    get_info = getattr(transport, "get_extra_info", None)
    peer = get_info("socket") if get_info else None
    return peer if peer is not None and peer.fileno() >= 0 else None


def _is_tcp(peer: Any) -> bool:
    return peer.family in {socket.AF_INET, socket.AF_INET6}
