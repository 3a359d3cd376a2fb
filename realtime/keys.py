"""The one place that spells a Redis key. `tenant_id` is the required first argument: the tenant wall in Redis."""

from dataclasses import dataclass

from realtime.topics import check_topic

STATUS_SUFFIX = ":status"
PROGRESS_SUFFIX = ":progress"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys below one prefix. Pub/sub ignores database numbers, so two installations on one Redis need two prefixes."""

    prefix: str = ""

    def tenant(self, tenant_id: int) -> str:
        """What all keys of a tenant begin with."""
        return f"{self.prefix}tenant:{int(tenant_id)}:"

    def status(self, tenant_id: int, topic: str) -> str:
        return self.tenant(tenant_id) + check_topic(topic) + STATUS_SUFFIX

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

    def relay(self) -> str:
        """The `run_id` of the Redis that the relay has filled; no tenant's."""
        return f"{self.prefix}realtime:relay"

    def tenant_of_feed(self, channel: str) -> int:
        """The tenant whose feed this channel is."""
        return int(channel.removeprefix(f"{self.prefix}tenant:").removesuffix(":feed"))
