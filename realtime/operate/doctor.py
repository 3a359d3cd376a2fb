"""Runs the checks of `manage.py doctor`, and checks the settings.

The other checks are in `doctor_servers.py`, `doctor_clocks.py`, `doctor_relay.py` and `doctor_push.py`.
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


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. `mend` says how to fix the problem, and is empty if nothing is wrong."""

    name: str
    message: str
    mend: str = ""

    @property
    def wrong(self) -> bool:
        return bool(self.mend)


def examine(named: Iterable[tuple[str, DoctorCheck]]) -> Iterator[Finding]:
    """Run the checks one by one, and yield the finding of each. An unexpected error does not stop later checks."""
    for name, check in named:
        try:
            yield Finding(name, check())
        except CheckFailedError as problem:
            yield Finding(name, str(problem), problem.mend)
        except Exception as problem:  # noqa: BLE001 - a project's checks may raise anything
            yield Finding(name, f"{type(problem).__name__}: {problem}", "Read the error: the check itself failed.")


class RedisChecks:
    """Runs the checks that need Redis. If one cannot reach Redis, the later ones fail at once, without a timeout."""

    def __init__(self) -> None:
        self._away = False

    def check(self, check: DoctorCheck) -> DoctorCheck:
        """Return a function that runs this check, but fails at once if an earlier check could not reach Redis."""
        return partial(self._run, check)

    def _run(self, check: DoctorCheck) -> str:
        if self._away:
            raise CheckFailedError("not checked: Redis does not answer", "Repair Redis first.")
        try:
            return check()
        except CheckFailedError as problem:
            self._away = isinstance(problem.__context__, (RedisConnectionError, RedisTimeoutError))
            raise


def check_settings() -> str:
    """Run the checks of `manage.py check` that need no Redis. Return a summary. Raise CheckFailedError if one fails."""
    if messages := checks.check_settings():
        text = "; ".join(f"{message.msg.rstrip('.')} ({message.id})" for message in messages)
        raise CheckFailedError(text, " ".join(message.hint or "Correct it." for message in messages))
    return "complete; the secret is long enough, hosts and origins are named"


def new_attempt() -> int:
    """Return a higher attempt number than in all earlier runs, so that each run can publish to the same topics."""
    return time.time_ns() // 1_000_000


def first_line(problem: Exception) -> str:
    """Return the first line of an error's text, or its class if it has no text."""
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
