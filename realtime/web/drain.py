"""Drains the connections of a server process before it ends."""

import structlog

from realtime import conf
from realtime.web.process_state import started_process

log = structlog.get_logger(__name__)


async def drain_process() -> None:
    """End the connections of this event loop, if it has any, spread over the drain time."""
    if process := started_process():
        log.info("draining", connections=len(process.connections))
        await process.connections.drain(conf.settings().drain_seconds)
