"""The doctor's check of the clocks of this host, of Redis and of the database."""

import time
from contextlib import suppress

from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from realtime.operate.doctor_servers import brief_redis
from realtime.records.errors import CheckFailedError
from realtime.redis.clock import seconds_of

MOST_SECONDS = 5.0
"""The largest accepted difference between two clocks. A larger difference loses no data, but people see wrong times."""


def check_clocks() -> str:
    """Compare the clocks of this host and of PostgreSQL with that of Redis.

    Raise CheckFailedError if a clock differs by more than MOST_SECONDS, or if Redis does not answer.
    """
    try:
        with brief_redis() as redis:
            redis.ping()  # opens the connection
            asked, monotonic = time.time(), time.monotonic()
            redis_time = seconds_of(redis.time())
            answered = time.monotonic()
    except RedisError as problem:
        raise CheckFailedError(f"not checked: {problem}", "Repair Redis first.") from problem
    found = {"this host": _difference(asked - redis_time, answered - monotonic)}
    if connection.vendor == "postgresql":
        with suppress(DatabaseError):  # the check of the database reports it
            connection.ensure_connection()
            since, postgres_time = time.monotonic(), _postgres_time()
            least = postgres_time - redis_time - (time.monotonic() - monotonic)
            found["PostgreSQL"] = _difference(least, answered - monotonic + time.monotonic() - since)
    wrong = [f"{name} is {_ahead(by)} Redis" for name, by in found.items() if abs(by) > MOST_SECONDS]
    if wrong:
        mend = "Synchronize all hosts with a time server (chrony, systemd-timesyncd)."
        raise CheckFailedError("; ".join(wrong), mend)
    return f"{' and '.join(found)}: within {max(map(abs, found.values())):.1f} s of Redis"


def _difference(least: float, uncertainty: float) -> float:
    """Return the possible difference that is nearest to 0. The true one is between `least` and `least + uncertainty`.

    A busy server may answer late. That adds to the uncertainty, but is no reason to call a clock wrong.
    """
    return max(least, min(0.0, least + uncertainty))


def _postgres_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def _ahead(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
