"""The keys and arguments that a publisher sends to Redis. Shared by `Publisher` and `AsyncPublisher`."""

from collections.abc import Sequence
from typing import Any

from realtime.records import scripts
from realtime.records.keys import Keys
from realtime.records.record import Draft
from realtime.records.script_batches import Call
from realtime.records.scripts import Limits
from realtime.records.trial_write import try_write


class PublishScripts:
    """Two variants of `publish.lua`. A Redis at its memory limit refuses the first, but executes the second.

    `script_for` chooses the second for terminal records only. With `at_the_limit`, `Publisher.publish_each` uses the
    second for all records.
    """

    def __init__(self, redis: Any) -> None:
        """Register the scripts with `redis`, a client of redis-py, synchronous or asynchronous."""
        self._refused_at_the_limit = redis.register_script(scripts.source("publish"))
        self.at_the_limit = redis.register_script(scripts.source("publish", at_the_limit=True))

    def script_for(self, draft: Draft) -> Any:
        """Return the script that publishes this record."""
        return self.at_the_limit if draft.status.terminal else self._refused_at_the_limit


class Commands:
    """Makes the keys and arguments of the scripts, for one key prefix."""

    def __init__(self, key_prefix: str, limits: Limits) -> None:
        self._keys = Keys(key_prefix)
        self.limits = limits

    def publish(self, tenant_id: int, draft: Draft) -> Call:
        """Return keys and arguments of `publish.lua`."""
        return scripts.publish_arguments(self._keys, self.limits, tenant_id, draft)

    def publish_all(self, pipeline: Any, publishing: PublishScripts, records: Sequence[tuple[int, Draft]]) -> None:
        """Add many publishes to a pipeline. The first call of each script sends its text, the others its SHA1."""
        sent: set[str] = set()
        for tenant_id, draft in records:
            names, values = self.publish(tenant_id, draft)
            script = publishing.script_for(draft)
            if script.sha in sent:
                pipeline.evalsha(script.sha, len(names), *names, *values)
            else:
                sent.add(script.sha)
                pipeline.eval(script.script, len(names), *names, *values)

    def record(self, tenant_id: int, topic: str) -> list[str]:
        """Return the two keys of a record: its status and its progress."""
        return [self._keys.status(tenant_id, topic), self._keys.progress(tenant_id, topic)]

    def refresh(self, pipeline: Any, tenant_id: int, topic: str, seconds: int | None) -> None:
        """Add commands to a pipeline that make both keys of a record expire in `seconds`.

        With None, the keys expire after `unfinished_ttl_seconds`. The commands never shorten an expiry, and never set
        one on a key that has none.
        """
        for name in self.record(tenant_id, topic):
            pipeline.expire(name, seconds or self.limits.unfinished_ttl_seconds, gt=True)

    def repair(self, tenant_id: int, draft: Draft) -> Call:
        """Return keys and arguments of `repair.lua`."""
        seconds = self.limits.terminal_ttl_seconds if draft.status.terminal else self.limits.unfinished_ttl_seconds
        names = [self._keys.status(tenant_id, draft.topic), self._keys.index(tenant_id)]
        return names, [draft.topic, draft.text, seconds, int(draft.status.terminal)]

    def renew_lease(self, tenant_id: int, topic: str, attempt: int) -> Call:
        """Return keys and arguments of `lease.lua`."""
        names = [self._keys.leases(tenant_id), self._keys.fence(tenant_id)]
        return names, [topic, attempt, self.limits.lease_seconds]

    def lease_left(self, tenant_id: int, topic: str) -> Call:
        """Return keys and arguments of `lease_left.lua`. Its answer is how many milliseconds of the lease are left."""
        return [self._keys.leases(tenant_id)], [topic]

    def try_write(self, redis: Any) -> Any:
        """Try to write; see `realtime.records.trial_write`."""
        return try_write(redis, self._keys)

    def relay(self) -> str:
        """Return the key in which the relay notes the replication id of the Redis that it has filled."""
        return self._keys.relay()
