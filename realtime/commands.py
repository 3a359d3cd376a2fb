"""What a publisher says to Redis. `Publisher` and `AsyncPublisher` differ only in how they send it."""

from collections.abc import Sequence
from typing import Any

from realtime import scripts
from realtime.batches import Call
from realtime.keys import Keys
from realtime.record import Draft
from realtime.scripts import Limits


class Commands:
    """Keys and arguments, below one prefix."""

    def __init__(self, key_prefix: str, limits: Limits) -> None:
        self._keys = Keys(key_prefix)
        self.limits = limits

    def publish(self, tenant_id: int, draft: Draft) -> Call:
        """Of `publish.lua`."""
        return scripts.publish_arguments(self._keys, self.limits, tenant_id, draft)

    def publish_all(self, pipeline: Any, sha: str, records: Sequence[tuple[int, Draft]]) -> None:
        """Puts many publishes into a pipeline, synchronous or not; the first brings the script along."""
        for number, (tenant_id, draft) in enumerate(records):
            names, values = self.publish(tenant_id, draft)
            if number == 0:
                pipeline.eval(scripts.source("publish"), len(names), *names, *values)
            else:
                pipeline.evalsha(sha, len(names), *names, *values)

    def record(self, tenant_id: int, topic: str) -> list[str]:
        """The two keys of a record."""
        return [self._keys.status(tenant_id, topic), self._keys.progress(tenant_id, topic)]

    def repair(self, tenant_id: int, draft: Draft) -> Call:
        """Of `repair.lua`."""
        seconds = self.limits.terminal_ttl_seconds if draft.status.terminal else self.limits.unfinished_ttl_seconds
        names = [self._keys.status(tenant_id, draft.topic), self._keys.index(tenant_id)]
        return names, [draft.topic, draft.text, seconds]

    def renew_lease(self, tenant_id: int, topic: str, attempt: int) -> Call:
        """Of `lease.lua`."""
        names = [self._keys.leases(tenant_id), self._keys.fence(tenant_id)]
        return names, [topic, attempt, self.limits.lease_seconds]

    def lease_left(self, tenant_id: int, topic: str) -> Call:
        """Of `lease_left.lua`, which answers in milliseconds."""
        return [self._keys.leases(tenant_id)], [topic]

    def relay(self) -> str:
        """The key in which the relay notes the life of Redis that it has filled."""
        return self._keys.relay()
