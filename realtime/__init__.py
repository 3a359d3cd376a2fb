"""The push engine: workers publish the state of long jobs, browsers hold one connection for each tenant.

The way of an event, in file names: `publish.py` → `lua/publish.lua` ⇢ Redis ⇢ `reader.py` → `feed.py` (mirror) →
`hub.py` → `subscriber.py` → `consumers.py`. `README.md` walks it.
"""
