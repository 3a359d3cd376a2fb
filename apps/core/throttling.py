"""Limits how often somebody may try to sign in, have a password hashed, or change something.

Each attempt is counted before its password is checked.

There are four counters for attempts, each for a minute: for the account from one address, for the address, for the
account from all addresses, and for the academy. A failed attempt counts 1. A successful attempt counts one half, and
not 0, because its password is hashed, too.

An address is known if the account recently signed in from it. The last two counters do not apply to attempts from a
known address. So a stranger who tries an account from elsewhere locks out nobody at a known address.

The counters are in Redis, for all processes together, and also in the memory of each process. If Redis does not answer
or refuses writes, the counters in memory decide, so that the limits always apply.
"""

import ipaddress
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TypeVar

import structlog
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled

from realtime import conf
from realtime.redis import links

log = structlog.get_logger(__name__)
V = TypeVar("V")

ATTEMPTS = {
    "sign-in": "attempts to sign in",
    "operator": "attempts to sign in",
    "password": "attempts to change the password",
    "import": "imports with an initial password",
}
"""How the error message names each kind of attempt."""
WINDOW_SECONDS = 60
FAILURES_OF_ACCOUNT_AT_ADDRESS = 10
KNOWN_SECONDS = 14 * 86_400
"""How long an address stays known after a successful sign-in."""
REDIS_SECONDS = 0.5
AWAY_SECONDS = 5.0
"""For how many seconds Redis is not used after it failed."""
MAX_REMEMBERED = 50_000
FAILURE, SUCCESS = 2, 1
"""What a failed attempt and a successful attempt cost, in units of the counters: a unit is half a failed attempt."""
_ALWAYS, _ALL = 2, 4
"""How many of the four counters apply to an attempt from a known address, and how many to any other attempt."""

# Count an attempt. Return whether the address is known (0 or 1), and the wait in ms (0: the attempt is counted).
# Refused attempts are not counted, so that the wait ends.
# KEYS[1] exists if the address is known. The other KEYS are the counters.
# ARGV[1] is the window in ms. The other ARGV are the counters' limits in units.
_TAKE = """
local known = redis.call('EXISTS', KEYS[1])
local last = known == 1 and 3 or #KEYS
for number = 2, last do
  if tonumber(redis.call('GET', KEYS[number]) or '0') + 2 > tonumber(ARGV[number]) then
    return {known, math.max(1, redis.call('PTTL', KEYS[number]))}
  end
end
for number = 2, last do
  if redis.call('INCRBY', KEYS[number], 2) == 2 then redis.call('PEXPIRE', KEYS[number], ARGV[1]) end
end
return {known, 0}
"""
# Give units back. KEYS[1] exists if the address is known. The other KEYS are the counters that were charged.
# ARGV[1] is the number of units that each counter gets back. ARGV[2] is how long the address is known from now on, in
# seconds (0: no change).
_GIVE = """
for number = 2, #KEYS do
  if tonumber(redis.call('GET', KEYS[number]) or '0') >= tonumber(ARGV[1]) then
    redis.call('DECRBY', KEYS[number], ARGV[1])
  end
end
if ARGV[2] ~= '0' then redis.call('SET', KEYS[1], '1', 'EX', ARGV[2]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted. It counts as a failure unless one of its methods is called."""

    known: bool
    _keys: tuple[str, ...]

    def succeeded(self) -> None:
        """Give back half of what the attempt cost, and remember the address as a known one."""
        _counters().give(self._keys, FAILURE - SUCCESS, KNOWN_SECONDS)

    def withdraw(self) -> None:
        """Give back the whole cost of the attempt, because no password was checked."""
        _counters().give(self._keys, FAILURE, 0)


class TooManyAttemptsError(Throttled):
    """429 with one sentence. Throttled's own constructor would add a second sentence about the wait."""

    def __init__(self, kind: str, seconds: int) -> None:
        super().__init__(detail=f"Too many {ATTEMPTS[kind]}: wait {seconds} s, then try again.")
        self.wait = seconds


def count_attempt(kind: str, *, address: str, tenant: str, account: str) -> Attempt:
    """Count an attempt, and return it. Raises Throttled (429, with Retry-After) if there were too many.

    Each `kind` has its own counters, so that attempts of one kind do not block attempts of another kind.
    """
    address, tenant = network_of(address), _short(tenant)
    account = f"{tenant}:{_short(account)}"
    names = (f"known:{account}:{address}", f"{account}:{address}", address, f"account:{account}", f"tenant:{tenant}")
    keys = tuple(f"{conf.key_prefix()}sign-in:{kind}:{name}" for name in names)
    limits = (
        FAILURES_OF_ACCOUNT_AT_ADDRESS,
        settings.SIGN_IN_ADDRESS_LIMIT,
        settings.SIGN_IN_ACCOUNT_LIMIT,
        settings.SIGN_IN_TENANT_LIMIT,
    )
    known, wait_seconds = _counters().take(keys, [FAILURE * limit for limit in limits])
    if wait_seconds:
        whole = math.ceil(wait_seconds)
        raise TooManyAttemptsError(kind, whole)
    return Attempt(known, keys[: 1 + (_ALWAYS if known else _ALL)])


def count_change(tenant_id: int, user_id: int) -> int:
    """Count a request that changes something. Return 0, or if there were too many, the number of seconds to wait."""
    names = ("known", f"user:{user_id}", f"tenant:{tenant_id}")  # no address is known: both counters apply
    keys = tuple(f"{conf.key_prefix()}changes:{name}" for name in names)
    limits = (settings.QUOTA_CHANGES_PER_USER, settings.QUOTA_CHANGES_PER_TENANT)
    _, wait_seconds = _counters().take(keys, [FAILURE * limit for limit in limits])
    return math.ceil(wait_seconds)


def network_of(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address, because one household has a whole /64.

    If the text is not an address, return a hash of it.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return _short(address)
    if found.version == 6:  # noqa: PLR2004
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


class Counters:
    """The counters in Redis, and those in memory for times when Redis does not answer or refuses writes."""

    def __init__(self, redis: Redis) -> None:
        self._memory = MemoryCounters()
        self._take_script = redis.register_script(_TAKE)
        self._give_script = redis.register_script(_GIVE)
        self._away_until = 0.0
        self._failing = False

    def take(self, keys: Sequence[str], limits: Sequence[int]) -> tuple[bool, float]:
        """Count an attempt. Return whether the address is known, and how many seconds to wait (0: not refused)."""
        if time.monotonic() >= self._away_until:
            try:
                known, wait_ms = self._take_script(keys, [WINDOW_SECONDS * 1000, *limits])
            except RedisError as problem:
                self._failed(problem)
            else:
                self._answered()
                self._memory.take(keys, limits, known=bool(known))
                return bool(known), wait_ms / 1000
        return self._memory.take(keys, limits)

    def give(self, keys: Sequence[str], units: int, known_seconds: int) -> None:
        self._memory.give(keys, units, known_seconds)
        if time.monotonic() >= self._away_until:
            try:
                self._give_script(keys, [units, known_seconds])
            except RedisError as problem:
                self._failed(problem)

    def _failed(self, problem: RedisError) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
        if not self._failing:
            self._failing = True
            log.warning("sign_ins_counted_in_this_process", error=str(problem))

    def _answered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("sign_ins_counted_in_redis_again")


class MemoryCounters:
    """The counters of one process, in memory. They have at most `MAX_REMEMBERED` keys; the oldest is removed first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._units: dict[str, tuple[int, float]] = {}
        self._known: dict[str, float] = {}

    def take(self, keys: Sequence[str], limits: Sequence[int], *, known: bool = False) -> tuple[bool, float]:
        now = time.monotonic()
        with self._lock:
            known = known or self._known.get(keys[0], 0.0) > now
            applying = list(zip(keys[1:], limits, strict=True))[: _ALWAYS if known else _ALL]
            for key, limit in applying:
                units, ends_at = self._units.get(key, (0, 0.0))
                if ends_at > now and units + FAILURE > limit:
                    return known, ends_at - now
            for key, _ in applying:
                units, ends_at = self._units.pop(key, (0, 0.0))
                if ends_at <= now:
                    units, ends_at = 0, now + WINDOW_SECONDS
                _put(self._units, key, (units + FAILURE, ends_at))
        return known, 0.0

    def give(self, keys: Sequence[str], units: int, known_seconds: int) -> None:
        with self._lock:
            for key in keys[1:]:
                if key in self._units:
                    counted, ends_at = self._units[key]
                    self._units[key] = max(0, counted - units), ends_at
            if known_seconds:
                self._known.pop(keys[0], None)
                _put(self._known, keys[0], time.monotonic() + known_seconds)


def _put(remembered: dict[str, V], key: str, value: V) -> None:
    remembered[key] = value
    if len(remembered) > MAX_REMEMBERED:
        del remembered[next(iter(remembered))]


@cache
def _counters() -> Counters:
    return Counters(links.client(conf.redis_url(), socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS))
