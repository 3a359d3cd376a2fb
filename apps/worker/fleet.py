"""Limits how many jobs of one kind run at once in all processes of a fleet. Each job needs a slot in Redis.

Each slot has a lease. If a process dies, its slots are free when their leases end. While Redis cannot be reached, work
continues, and each process is limited only by its own concurrency.
"""

import threading
from secrets import token_hex

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

LAST_ATTEMPTS = 3
"""How many times `give_all` tries to give back the slots of a process if Redis does not answer."""

# Take a slot. Uses the clock of Redis.
# KEYS[1]: the slots (a sorted set: token → end of its lease).
# ARGV[1]: how many slots there are. ARGV[2]: the length of the lease in seconds. ARGV[3]: the token.
_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2]) * 1000))
return 1
"""
# Renew the leases of slots. A slot that Redis no longer has is taken again, because its job is running.
# KEYS[1]: the slots. ARGV[1]: the length of the lease in seconds. ARGV[2] and all that follow: the tokens.
_RENEW = """
local clock = redis.call('TIME')
local ends = tonumber(clock[1]) + tonumber(clock[2]) / 1000000 + tonumber(ARGV[1])
for number = 2, #ARGV do redis.call('ZADD', KEYS[1], ends, ARGV[number]) end
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[1]) * 1000))
return #ARGV - 1
"""


class FleetSlots:
    """The slots that one process holds. Any thread may call the methods. They raise nothing if Redis fails."""

    def __init__(self, redis: Redis, key: str, most: int, lease_seconds: float) -> None:
        self._redis = redis
        self._key, self._most, self._seconds = key, most, lease_seconds
        self._take_script = redis.register_script(_TAKE)
        self._renew_script = redis.register_script(_RENEW)
        self._held: set[str] = set()
        self._owed: set[str] = set()  # slots to give back as soon as Redis answers again
        self._closed = False
        self._lock = threading.Lock()
        self._reachable = True

    def take(self) -> str | None:
        """Take a slot and return its token, for `give`. Return None if the fleet has no free slot.

        If Redis cannot be reached, return a token without a slot. `renew` takes a slot for it when Redis answers again,
        even if no slot is free then.
        """
        token = token_hex(8)
        try:
            granted = bool(self._take_script([self._key], [self._most, self._seconds, token]))
            self._note_reachable()
        except RedisError as problem:
            granted = True
            self._note_away(problem)
        if not granted:
            return None
        with self._lock:
            closed = self._closed
            if not closed:
                self._held.add(token)
        if closed:  # `give_all` ran before the slot was in `_held`, and did not give it back
            self.give(token)
            return None
        return token

    def give(self, token: str) -> None:
        """Give a slot back. If Redis cannot be reached, the next `renew` tries again."""
        with self._lock:
            self._held.discard(token)
            self._owed.add(token)
        self._give_owed()

    def give_all(self) -> None:
        """Give back all slots of this process, and take none from now on.

        Call this after the thread that calls `renew` has ended. If Redis cannot be reached, try a few times. A slot
        that cannot be given back is free when its lease ends.
        """
        with self._lock:
            self._closed = True
            self._owed |= self._held
            self._held.clear()
        for _ in range(LAST_ATTEMPTS):
            if self._give_owed():
                return

    def renew(self) -> None:
        """Renew the leases of all slots that this process holds, and give back the slots that `give` could not.

        Call this well before the leases end.
        """
        with self._lock:
            held = sorted(self._held)
        try:
            if held:
                self._renew_script([self._key], [self._seconds, *held])
                self._note_reachable()
        except RedisError as problem:
            self._note_away(problem)
        with self._lock:  # the script may have run after `give` in another thread, and has then taken the slot again
            self._owed |= set(held) - self._held
        self._give_owed()

    def _give_owed(self) -> bool:
        """Give back all slots that this process owes. Return whether none is left."""
        with self._lock:
            owed = list(self._owed)
        if not owed:
            return True
        try:
            self._redis.zrem(self._key, *owed)
        except RedisError as problem:
            self._note_away(problem)
            return False
        with self._lock:
            self._owed.difference_update(owed)
        return True

    def _note_away(self, problem: RedisError) -> None:
        if self._reachable:  # log each outage once
            log.warning("fleet_not_counted", error=str(problem))
        self._reachable = False

    def _note_reachable(self) -> None:
        self._reachable = True
