"""Closing a connection so that the peer can still read why."""

import asyncio

FAREWELL_SECONDS = 2.0
"""So long a peer may take to read why it is closed, and the kernel to send it."""


def end_gently(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, last: bytes) -> asyncio.TimerHandle:
    """Write a last message, and close when the peer does, or two seconds later.

    What still comes meanwhile has to be read: a socket that is closed with unread bytes takes its last word back.
    """
    transport.write(last)
    if transport.can_write_eof():
        transport.write_eof()
    return loop.call_later(FAREWELL_SECONDS, transport.abort)
