"""Builds the names of all Redis keys; no other module does.

A key of a tenant contains the tenant's id, which separates the tenants in Redis.
"""

import re
from dataclasses import dataclass

from realtime.records.topics import check_topic

SYSTEM_TENANT = 0
"""The tenant id of the engine's own feed, for the doctor and the figures of the whole system. Other ids begin at 1."""

STATUS_SUFFIX = ":status"
PROGRESS_SUFFIX = ":progress"

OLD_PROGRESS_PATTERN = "job:*:progress"
"""The pattern of the progress keys of old workers, whose version had no tenants and no key prefix."""
_OLD_PROGRESS = re.compile(r"job:(video:)?([A-Za-z0-9_-]{1,64}):progress", re.ASCII)
_STATUS = re.compile(r"tenant:(\d{1,19}):([a-z]{1,16}:[A-Za-z0-9_-]{1,64}):status", re.ASCII)


def old_progress(topic: str) -> str | None:
    """Return the key in which old workers write a topic's progress. Their version had no tenants.

    Return None for a kind of topics that their version did not have.
    """
    kind, _, ident = check_topic(topic).partition(":")
    return {"video": f"job:video:{ident}:progress", "job": f"job:{ident}:progress"}.get(kind)


def topic_of_old_progress(name: str) -> str | None:
    """Return the topic whose progress old workers write to this key, or None for any other key."""
    match = _OLD_PROGRESS.fullmatch(name)
    return f"{'video' if match[1] else 'job'}:{match[2]}" if match else None


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys under one prefix. Two installations on one Redis need two prefixes: pub/sub ignores database numbers."""

    prefix: str = ""

    def tenant(self, tenant_id: int) -> str:
        """Return the beginning of all keys of a tenant."""
        return f"{self.prefix}tenant:{int(tenant_id)}:"

    def status(self, tenant_id: int, topic: str) -> str:
        return self.tenant(tenant_id) + check_topic(topic) + STATUS_SUFFIX

    def any_status(self) -> str:
        """Return the pattern of all status keys, for SCAN."""
        return f"{self.prefix}tenant:*{STATUS_SUFFIX}"

    def topic_of_status(self, name: str) -> tuple[int, str] | None:
        """Return the tenant and the topic whose status key this is, or None for any other key."""
        match = _STATUS.fullmatch(name.removeprefix(self.prefix)) if name.startswith(self.prefix) else None
        return (int(match[1]), match[2]) if match else None

    def progress(self, tenant_id: int, topic: str) -> str:
        return self.tenant(tenant_id) + check_topic(topic) + PROGRESS_SUFFIX

    def of_publish(self, tenant_id: int, topic: str) -> list[str]:
        """Return the keys of `publish.lua`, in their order. The methods above and below describe them."""
        tenant, name = self.tenant(tenant_id), check_topic(topic)
        return [
            f"{tenant}{name}{STATUS_SUFFIX}",
            f"{tenant}{name}{PROGRESS_SUFFIX}",
            f"{tenant}feed",
            f"{tenant}feed:index",
            f"{tenant}feed:terminal",
            f"{tenant}feed:fence",
            f"{tenant}leases",
        ]

    def feed(self, tenant_id: int) -> str:
        """Return the key of the feed's hash. The pub/sub channel has the same name."""
        return self.tenant(tenant_id) + "feed"

    def index(self, tenant_id: int) -> str:
        return self.tenant(tenant_id) + "feed:index"

    def terminal(self, tenant_id: int) -> str:
        return self.tenant(tenant_id) + "feed:terminal"

    def fence(self, tenant_id: int) -> str:
        return self.tenant(tenant_id) + "feed:fence"

    def leases(self, tenant_id: int) -> str:
        return self.tenant(tenant_id) + "leases"

    def revoked(self, tenant_id: int) -> str:
        """Return the key of the tenant's revocation marks: who was revoked, and when."""
        return self.tenant(tenant_id) + "revoked"

    def relay(self) -> str:
        """Return the key in which the relay notes the replication id of the Redis that it has filled."""
        return f"{self.prefix}realtime:relay"

    def settling(self) -> str:
        """Return the key that exists while no topic may be marked as stalled (see `repair/leases.py`)."""
        return f"{self.prefix}realtime:settling"

    def revocations(self) -> str:
        """Return the pub/sub channel on which all processes receive revocations."""
        return f"{self.prefix}realtime:revocations"

    def writable(self) -> str:
        """Return the key that is written to find out whether Redis accepts writes (see `trial_write.py`)."""
        return f"{self.prefix}realtime:writable"

    def unwritten(self) -> str:
        """Return the key that exists while the database may have revocation marks that Redis does not have yet."""
        return f"{self.prefix}realtime:unwritten"

    def reports(self) -> str:
        """Return the key of the hash with the newest report of each process (`publish/reports.py`)."""
        return f"{self.prefix}realtime:reports"

    def watched(self) -> str:
        """Return the key that exists while a client of any process watches figures."""
        return f"{self.prefix}realtime:watched"

    def measurer(self) -> str:
        """Return the key that names the process which publishes the figures at present."""
        return f"{self.prefix}realtime:measurer"

    def memory(self) -> str:
        """Return the key of the list of how much memory Redis used, one entry a minute."""
        return f"{self.prefix}realtime:memory"

    def memory_noted(self) -> str:
        """Return the key that exists for a minute after an entry was added to the list at the key `memory()`."""
        return f"{self.prefix}realtime:memory:noted"
