"""The outbox: a transaction writes messages to a table, and they are published or sent to a queue after its commit."""

from realtime.outbox.outbox import publish_status_on_commit, send_on_commit

__all__ = ["publish_status_on_commit", "send_on_commit"]
