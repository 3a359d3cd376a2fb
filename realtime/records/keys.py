"""The one place that spells a Redis key. `tenant_id` is the required first argument: the tenant wall in Redis."""

import re
from dataclasses import dataclass

from realtime.records.topics import check_topic

STATUS_SUFFIX = ":status"
PROGRESS_SUFFIX = ":progress"

OLD_PROGRESS_PATTERN = "job:*:progress"
"""What the version before tenants wrote (`old_progress`); it knew no prefix either."""
_OLD_PROGRESS = re.compile(r"job:(video:)?([A-Za-z0-9_-]{1,64}):progress", re.ASCII)
_STATUS = re.compile(r"tenant:(\d{1,19}):([a-z]{1,16}:[A-Za-z0-9_-]{1,64}):status", re.ASCII)


def old_progress(topic: str) -> str | None:
    """Where the version before tenants kept the progress of a topic. The name does not say whose it is."""
    kind, _, ident = check_topic(topic).partition(":")
    return {"video": f"job:video:{ident}:progress", "job": f"job:{ident}:progress"}.get(kind)


def topic_of_old_progress(name: str) -> str | None:
    """The topic whose old key this is; None for any other key."""
    match = _OLD_PROGRESS.fullmatch(name)
    return f"{'video' if match[1] else 'job'}:{match[2]}" if match else None


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys below one prefix. Pub/sub ignores database numbers, so two installations on one Redis need two prefixes."""

    prefix: str = ""

    def tenant(self, tenant_id: int) -> str:
        """What all keys of a tenant begin with."""
        return f"{self.prefix}tenant:{int(tenant_id)}:"

    def status(self, tenant_id: int, topic: str) -> str:
        return self.tenant(tenant_id) + check_topic(topic) + STATUS_SUFFIX

    def any_status(self) -> str:
        """A pattern of the names of all status keys, for SCAN."""
        return f"{self.prefix}tenant:*{STATUS_SUFFIX}"

    def topic_of_status(self, name: str) -> tuple[int, str] | None:
        """The tenant and the topic whose status key this is; None for any other key."""
        match = _STATUS.fullmatch(name.removeprefix(self.prefix)) if name.startswith(self.prefix) else None
        return (int(match[1]), match[2]) if match else None

    def progress(self, tenant_id: int, topic: str) -> str:
        return self.tenant(tenant_id) + check_topic(topic) + PROGRESS_SUFFIX

    def feed(self, tenant_id: int) -> str:
        """The feed's hash; the pub/sub channel has the same name."""
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
        """Who was revoked, and when."""
        return self.tenant(tenant_id) + "revoked"

    def relay(self) -> str:
        """The history of Redis that the relay has filled; no tenant's."""
        return f"{self.prefix}realtime:relay"

    def settling(self) -> str:
        """There as long as leases say nothing yet, because Redis has only just come up; no tenant's."""
        return f"{self.prefix}realtime:settling"

    def revocations(self) -> str:
        """The pub/sub channel that tells all processes who was revoked; no tenant's."""
        return f"{self.prefix}realtime:revocations"

    def writable(self) -> str:
        """Written each second to see whether Redis takes writes; no tenant's."""
        return f"{self.prefix}realtime:writable"

    def unwritten(self) -> str:
        """There for as long as marks may stand in the database that are still to be written here; no tenant's."""
        return f"{self.prefix}realtime:unwritten"

    def tenant_of_feed(self, channel: str) -> int:
        """The tenant whose feed this channel is."""
        return int(channel.removeprefix(f"{self.prefix}tenant:").removesuffix(":feed"))
