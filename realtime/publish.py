"""Publishing, for workers: one round trip to Redis a record. No Django here: any Python process can publish.

Progress is best effort: a job never fails because of it. Terminal states are certain, and leave through the outbox
(`realtime.outbox.publish_status_on_commit`), which calls `Publisher.publish` after the commit.
"""

import time
from collections.abc import Mapping
from typing import Any, Self, cast

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from realtime import scripts
from realtime.keys import Keys
from realtime.record import Draft, Progress, Record, Step, draft_record, join_record
from realtime.scripts import Limits, Published
from realtime.transitions import Status

__all__ = ["Publisher", "Step"]

log = structlog.get_logger(__name__)


class Publisher:
    """Puts records into tenants' feeds, and reads single ones back. Threads may share it."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", limits: Limits | None = None) -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._limits = limits or Limits()
        self._publish = redis.register_script(scripts.source("publish"))
        self._renew = redis.register_script(scripts.source("lease"))
        self._lease_left = redis.register_script(scripts.source("lease_left"))
        self.dropped = 0
        """Progress records that Redis did not take."""

    @classmethod
    def from_url(
        cls, url: str, *, key_prefix: str = "", limits: Limits | None = None, timeout_seconds: float = 1.0
    ) -> Self:
        """A publisher with its own connections. `timeout_seconds` bounds what one call may cost."""
        redis = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 1),  # once more at once: a connection that Redis closed while idle
        )
        return cls(redis, key_prefix=key_prefix, limits=limits)

    def progress(
        self,
        *,
        tenant_id: int,
        topic: str,
        attempt: int,
        percent: float,
        step: Step | None = None,
        remaining_seconds: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Published | None:
        """Says how far a job is (0 to 100). None if Redis could not be reached: the job goes on all the same.

        Raises BadTopicError or BadRecordError for what could never be published.
        """
        draft = draft_record(
            topic=topic,
            attempt=attempt,
            status=Status.PROCESSING,
            published_at=time.time(),
            progress=Progress(percent, step, remaining_seconds),
            data=data,
        )
        try:
            return self.publish(tenant_id, draft)
        except RedisError as problem:
            self.dropped += 1
            log.debug("progress_dropped", topic=topic, error=str(problem))
            return None

    def status(
        self,
        *,
        tenant_id: int,
        topic: str,
        attempt: int,
        status: str,
        data: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> Published:
        """Says what became of a job. Raises RedisError where it cannot be said; the outbox then says it again.

        For a state that a transaction makes true, call `publish_status_on_commit` instead.
        """
        return self.publish(
            tenant_id,
            draft_record(topic=topic, attempt=attempt, status=status, published_at=time.time(), data=data, error=error),
        )

    def publish(self, tenant_id: int, draft: Draft) -> Published:
        """Hands one record to Redis, which accepts or refuses it (see `realtime.transitions`). Raises RedisError."""
        names, values = scripts.publish_arguments(self._keys, self._limits, tenant_id, draft)
        return scripts.published(self._publish(names, values))

    def record(self, tenant_id: int, topic: str) -> Record | None:
        """The latest record of one topic, or None if Redis holds nothing of it in this tenant. Raises RedisError."""
        names = [self._keys.status(tenant_id, topic), self._keys.progress(tenant_id, topic)]
        text, progress = cast("list[bytes | None]", self._redis.mget(names))
        return join_record(text, progress) if text is not None else None

    def restore(self, tenant_id: int, draft: Draft) -> bool:
        """Writes the status of a topic that Redis no longer holds: no offset, no index, nobody is told.

        Looking at a job of last year tells nobody anything. False if Redis holds it already. Raises RedisError.
        """
        seconds = self._limits.terminal_ttl_seconds if draft.status.terminal else self._limits.unfinished_ttl_seconds
        name = self._keys.status(tenant_id, draft.topic)
        return bool(self._redis.set(name, b'{"offset":0' + draft.text, nx=True, ex=seconds or None))

    def refresh(self, tenant_id: int, topic: str) -> None:
        """Lets the keys of an unfinished topic live on; those of a terminal one have their term. Raises RedisError."""
        seconds = self._limits.unfinished_ttl_seconds
        if self._redis.expire(self._keys.progress(tenant_id, topic), seconds):
            self._redis.expire(self._keys.status(tenant_id, topic), seconds)

    def renew_lease(self, *, tenant_id: int, topic: str, attempt: int) -> bool:
        """Says that this attempt is still at work. False if another one overtook it. Raises RedisError."""
        names = [self._keys.leases(tenant_id), self._keys.fence(tenant_id)]
        return bool(self._renew(names, [topic, attempt, self._limits.lease_seconds]))

    def lease_seconds_left(self, *, tenant_id: int, topic: str) -> float:
        """For how long somebody is still at work on a topic; 0 if nobody is. Raises RedisError."""
        return int(cast("int", self._lease_left([self._keys.leases(tenant_id)], [topic]))) / 1000

    def run_id(self) -> str:
        """Which life of Redis answers. Raises RedisError."""
        return str(self._redis.info("server")["run_id"])

    def filled_run_id(self) -> str | None:
        """The life of Redis that `mark_filled` named last; None if Redis lost even that. Raises RedisError."""
        value = cast("bytes | None", self._redis.get(self._keys.relay()))
        return value.decode() if value is not None else None

    def mark_filled(self, run_id: str) -> None:
        """Notes in Redis itself that the relay has filled this life of it. Raises RedisError."""
        self._redis.set(self._keys.relay(), run_id)

    def close(self) -> None:
        self._redis.close()
