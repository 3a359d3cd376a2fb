"""The push engine: workers publish the state of long jobs, browsers hold one connection for each tenant.

The way of an event: `publish/publisher.py` → `records/lua/publish.lua` ⇢ Redis ⇢ `feed/pubsub_link.py` →
`feed/hub.py` → `feed/followed_feed.py` (`feed/mirror.py`) → `feed/subscriber.py` → `web/websocket.py`.
`README.md` walks it.
"""

__version__ = "0.1.0"
