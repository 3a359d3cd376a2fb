"""Sockets of clients that do not read, and the metrics of a server."""

import re
import socket

import httpx


async def metric(address: str, line: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{address}/metrics")).text
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def narrow_socket(address: str) -> socket.socket:
    """Return a connected socket for which the kernel keeps hardly any unread bytes."""
    host, port = address.removeprefix("http://").split(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect((host, int(port)))
    return narrow
