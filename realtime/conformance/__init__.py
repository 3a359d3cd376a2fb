"""Tools for people who write their own client, or their own server, of `realtime.v1`.

`python -m realtime.conformance -- <command>` judges a client, `python -m realtime.conformance.server <url>` a server.
Both need the packages `websockets` and `jsonschema`, and no Django.
"""
