"""The hub of this process, made when the first connection needs it."""

import asyncio
from weakref import WeakKeyDictionary

from realtime import conf
from realtime.hub import Hub
from realtime.reader import FeedReader

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The running hub of this event loop. A server has one loop; tests have many."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        reader = FeedReader.from_url(conf.redis_url(), key_prefix=conf.key_prefix())
        found = _hubs[loop] = Hub(reader, conf.limits()).start()
    return found
