"""The outbox: what a transaction commits is published, or sent to a queue, after the commit."""

from realtime.outbox.outbox import publish_status_on_commit, send_on_commit

__all__ = ["publish_status_on_commit", "send_on_commit"]
