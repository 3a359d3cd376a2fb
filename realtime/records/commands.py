"""What a publisher says to Redis. `Publisher` and `AsyncPublisher` differ only in how they send it."""

from collections.abc import Sequence
from typing import Any

from realtime.records import scripts
from realtime.records.batches import Call
from realtime.records.keys import Keys
from realtime.records.record import Draft
from realtime.records.scripts import Limits
from realtime.records.trial_write import try_write


class Publishing:
    """`publish.lua` twice: as it is, and with the flag by which it also writes at the memory limit of Redis.

    Terminal states and what heals use the second. So progress and unfinished states are refused first.
    """

    def __init__(self, redis: Any) -> None:
        """Of a client of redis-py, synchronous or not."""
        self._refused_first = redis.register_script(scripts.source("publish"))
        self.certain = redis.register_script(scripts.source("publish", at_the_limit=True))

    def of(self, draft: Draft) -> Any:
        """The script that publishes this record."""
        return self.certain if draft.status.terminal else self._refused_first


class Commands:
    """Keys and arguments, below one prefix."""

    def __init__(self, key_prefix: str, limits: Limits) -> None:
        self._keys = Keys(key_prefix)
        self.limits = limits

    def publish(self, tenant_id: int, draft: Draft) -> Call:
        """Of `publish.lua`."""
        return scripts.publish_arguments(self._keys, self.limits, tenant_id, draft)

    def publish_all(self, pipeline: Any, publishing: Publishing, records: Sequence[tuple[int, Draft]]) -> None:
        """Puts many publishes into a pipeline, synchronous or not; the first of a script brings it along."""
        brought: set[str] = set()
        for tenant_id, draft in records:
            names, values = self.publish(tenant_id, draft)
            script = publishing.of(draft)
            if script.sha in brought:
                pipeline.evalsha(script.sha, len(names), *names, *values)
            else:
                brought.add(script.sha)
                pipeline.eval(script.script, len(names), *names, *values)

    def record(self, tenant_id: int, topic: str) -> list[str]:
        """The two keys of a record."""
        return [self._keys.status(tenant_id, topic), self._keys.progress(tenant_id, topic)]

    def refresh(self, pipeline: Any, tenant_id: int, topic: str, seconds: int | None) -> None:
        """Puts new expiries of both keys into a pipeline: never a shorter one, and none on a key without expiry."""
        for name in self.record(tenant_id, topic):
            pipeline.expire(name, seconds or self.limits.unfinished_ttl_seconds, gt=True)

    def repair(self, tenant_id: int, draft: Draft) -> Call:
        """Of `repair.lua`."""
        seconds = self.limits.terminal_ttl_seconds if draft.status.terminal else self.limits.unfinished_ttl_seconds
        names = [self._keys.status(tenant_id, draft.topic), self._keys.index(tenant_id)]
        return names, [draft.topic, draft.text, seconds, int(draft.status.terminal)]

    def renew_lease(self, tenant_id: int, topic: str, attempt: int) -> Call:
        """Of `lease.lua`."""
        names = [self._keys.leases(tenant_id), self._keys.fence(tenant_id)]
        return names, [topic, attempt, self.limits.lease_seconds]

    def lease_left(self, tenant_id: int, topic: str) -> Call:
        """Of `lease_left.lua`, which answers in milliseconds."""
        return [self._keys.leases(tenant_id)], [topic]

    def try_write(self, redis: Any) -> Any:
        """See `realtime.redis.server.try_write`."""
        return try_write(redis, self._keys)

    def relay(self) -> str:
        """The key in which the relay notes the life of Redis that it has filled."""
        return self._keys.relay()
