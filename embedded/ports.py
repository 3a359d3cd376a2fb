"""Finds free TCP ports of the loopback address."""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from pathlib import Path

from embedded.errors import EmbeddedError

HOST = "127.0.0.1"
_LOWEST = 15_000
_USUAL_EPHEMERAL = 32_768
_chosen: deque[int] = deque(maxlen=1000)
_kept: set[int] = set()


def _below_ephemeral() -> int:
    """Return the first port that the kernel uses for outgoing connections, or 32768 if it is unknown or too low."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return _USUAL_EPHEMERAL
    first = int(text.split()[0])
    return first if first > _LOWEST + 1_000 else _USUAL_EPHEMERAL


def keep(port: int) -> None:
    """Keep a port for a server that starts later. `is_free` and `free_port` leave it out from now on."""
    _kept.add(port)


def is_free(port: int) -> bool:
    """Return whether a server could listen at this port now, and the port is not kept for another server."""
    return port not in _kept and why_not(port) is None


def answers(port: int) -> bool:
    """Return whether a program accepts connections at this port."""
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a free port below the kernel's ports for outgoing connections. Raises EmbeddedError if it finds none.

    If a server had a port of the kernel's range, an outgoing connection could take it while the server is down. A
    client that tries to reach the server could even get the server's port and connect to itself. Processes that choose
    ports at the same time must use different shares of the ports, so that they never choose the same port:
    `PORT_SHARE=0/2` is the first half. A process does not choose its last 1000 ports again: they may belong to
    servers that have not started yet.
    """
    chance = random.SystemRandom()
    share, shares = map(int, os.environ.get("PORT_SHARE", "0/1").split("/"))
    size = (_below_ephemeral() - _LOWEST) // shares
    first = _LOWEST + share * size
    for _ in range(200):
        port = first + chance.randrange(size)
        if port not in _chosen and is_free(port):
            _chosen.append(port)
            return port
    raise EmbeddedError(f"No free TCP port was found between {first} and {first + size - 1} on {HOST}.")


def why_not(port: int) -> str | None:
    """Return why a server cannot listen at this port, as the end of a sentence, or None if it can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return f"of {HOST} is reserved for the system's administrator"
        except OSError:
            return f"of {HOST} is taken by another program"
    return None
