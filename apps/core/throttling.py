"""How often somebody may fail to sign in. Those who know their password are never kept waiting."""

from hashlib import sha256

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
FAILURES_FOR_ACCOUNT = 10
"""From one address, for one account."""
FAILURES_FROM_ADDRESS = 100
"""From one address, whatever the account: an academy's computers share one."""


class SignInFailures:
    """Counts the failures of the last minute. Without Redis nobody is locked out."""

    def __init__(self, address: str, account: str) -> None:
        self._limits = {
            f"sign-in:{address}:{sha256(account.encode()).hexdigest()}": FAILURES_FOR_ACCOUNT,
            f"sign-in:{address}": FAILURES_FROM_ADDRESS,
        }

    def check(self) -> None:
        """Raises Throttled (429, with Retry-After) after too many failures."""
        try:
            counts = cache.get_many(self._limits)
        except RedisError as problem:
            log.warning("sign_in_not_throttled", error=str(problem))
            return
        if any(counts.get(key, 0) >= most for key, most in self._limits.items()):
            raise Throttled(WINDOW_SECONDS, "Too many failed attempts: wait a minute, then try again.")

    def count(self) -> None:
        try:
            for key in self._limits:
                if not cache.add(key, 1, WINDOW_SECONDS):
                    cache.incr(key)
        except (RedisError, ValueError) as problem:  # ValueError: the minute ended in between
            log.info("sign_in_failure_not_counted", error=str(problem))
