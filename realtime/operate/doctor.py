"""What `manage.py doctor` does with its checks, and the first of them: the settings.

The others are in `doctor_servers.py`, `doctor_clocks.py`, `doctor_relay.py` and `doctor_push.py`.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from realtime.conf import DoctorCheck
from realtime.operate import checks
from realtime.records.errors import CheckFailedError

RESERVED_TENANT = 0
"""The doctor's own feed; tenants of projects begin with 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is empty where nothing is wrong."""

    name: str
    said: str
    mend: str = ""

    @property
    def wrong(self) -> bool:
        return bool(self.mend)


def examine(named: Iterable[tuple[str, DoctorCheck]]) -> Iterator[Finding]:
    """Makes each check when its finding is asked for; no defect of one keeps the others from being made."""
    for name, check in named:
        try:
            yield Finding(name, check())
        except CheckFailedError as problem:
            yield Finding(name, str(problem), problem.mend)
        except Exception as problem:  # noqa: BLE001 - a project's checks may raise what they like
            yield Finding(name, f"{type(problem).__name__}: {problem}", "Read the error; the check itself fell.")


class RedisChecks:
    """Skips the checks that need Redis once Redis could not be reached: each of them would wait for it as long."""

    def __init__(self) -> None:
        self._away = False

    def check(self, check: DoctorCheck) -> DoctorCheck:
        return partial(self._made, check)

    def _made(self, check: DoctorCheck) -> str:
        if self._away:
            raise CheckFailedError("not looked at: Redis does not answer", "Mend Redis first.")
        try:
            return check()
        except CheckFailedError as problem:
            self._away = isinstance(problem.__context__, (RedisConnectionError, RedisTimeoutError))
            raise


def check_settings() -> str:
    """What `manage.py check` says of the engine, without what it asks of Redis."""
    if messages := checks.check_settings():
        said = "; ".join(f"{message.msg.rstrip('.')} ({message.id})" for message in messages)
        raise CheckFailedError(said, " ".join(message.hint or "Correct it." for message in messages))
    return "complete; the secret is long enough, hosts and origins are named"


def new_attempt() -> int:
    """Higher than all before: so each look at the reserved feed is a new state of the same few topics."""
    return time.time_ns() // 1_000_000


def first_line(problem: Exception) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
