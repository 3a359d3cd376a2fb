"""Closes a connection so that the peer can still read the reason."""

import asyncio

LINGER_SECONDS = 2.0
"""How long the kernel may take to send the reason, and the peer to read it."""


def end_gently(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, last: bytes) -> asyncio.TimerHandle:
    """Write a last message, and then nothing more. Return the timer that aborts the connection.

    The timer fires after `LINGER_SECONDS`. Until then the socket is read: if a socket is closed with unread bytes, the
    peer may lose the last message.
    """
    transport.write(last)
    if transport.can_write_eof():
        transport.write_eof()
    return loop.call_later(LINGER_SECONDS, transport.abort)
