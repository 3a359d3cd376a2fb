"""The push engine: workers publish the state of long jobs, and each browser has one connection that receives it.

The path of an event: `publish/publisher.py` → `records/lua/publish.lua` ⇢ Redis ⇢ `feed/pubsub_link.py` →
`feed/hub.py` → `feed/followed_feed.py` (`feed/mirror.py`) → `feed/subscriber.py` → `web/websocket.py`.
`README.md` explains it.
"""

__version__ = "0.1.0"
