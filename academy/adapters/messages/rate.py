"""Limits how many messages an academy sends in a minute, over all workers: a token bucket for each tenant, in Redis.

Sending a message takes a token. A full bucket has as many tokens as are added in one second, but at least one. So a
burst after a pause is small, and no minute has many more messages than the limit. While Redis is down, each process
applies the whole limit on its own.
"""

import threading
import time
from functools import cache

import structlog
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from realtime.protocol.rate_limit import TokenBucket
from realtime.redis import links

log = structlog.get_logger(__name__)

REDIS_SECONDS = 0.2
"""How long to wait for an answer from Redis. The time is short, because a waiting caller cannot do its other work."""
AWAY_SECONDS = 2.0
"""How long to use the local buckets after Redis did not answer."""

# The rule of `TokenBucket`, for all processes together and by the clock of Redis.
# Takes a token and returns 0, or returns the number of seconds until there is a token.
# KEYS[1] is the bucket: a Redis hash with the number of tokens and the time at which they were counted.
# ARGV[1] is how many tokens are added in a second, and ARGV[2] how many the bucket can hold.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'counted_at')
local gone = math.max(0, now - (tonumber(kept[2]) or now))
local tokens = math.min(most, (tonumber(kept[1]) or most) + gone * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'counted_at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(most / rate * 1000) + 1000)
return string.format('%.6f', wait)
"""


class LocalBuckets:
    """Token buckets in the memory of this process. Any thread may call them."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._buckets: dict[int, TokenBucket] = {}
        self._lock = threading.Lock()

    def take(self, tenant_id: int) -> float:
        with self._lock:
            bucket = self._buckets.setdefault(tenant_id, TokenBucket(self._rate, self._most))
            return 0.0 if bucket.take() else bucket.seconds_until()


class MessageRate:
    """The rate limit, as one process applies it. Any thread may call it. It raises nothing if Redis is down."""

    def __init__(self, redis: Redis, key_prefix: str, per_minute: int) -> None:
        self._prefix = f"{key_prefix}worker:messaging:rate:"
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate)
        self._local = LocalBuckets(self._rate, self._most)
        self._script = redis.register_script(_TAKE)
        self._away_until = 0.0

    def take(self, tenant_id: int) -> float:
        """Take a token and return 0. If there is no token, return the number of seconds after which to try again."""
        if time.monotonic() < self._away_until:
            return self._local.take(tenant_id)
        try:
            return float(self._script([f"{self._prefix}{tenant_id}"], [self._rate, self._most]))
        except RedisError as problem:
            log.warning("messages_counted_locally", error=str(problem))
            self._away_until = time.monotonic() + AWAY_SECONDS
            return self._local.take(tenant_id)


@cache
def message_rate() -> MessageRate:
    """Return the `MessageRate` of this process, with the limit from the settings."""
    redis = links.client(
        settings.REALTIME_REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return MessageRate(redis, settings.REALTIME_KEY_PREFIX, settings.MESSAGE_RATE_PER_MINUTE)
