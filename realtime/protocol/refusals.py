"""Counts every refusal by its reason, and logs it, because a browser does not show why a WebSocket was refused.

At most one line a minute is logged for each reason, so that clients cannot fill the log. The line says how many
refusals were not logged since the previous line.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.records.metrics import counts

log = structlog.get_logger(__name__)

QUIET_SECONDS = 60.0
"""For this long after a refusal was logged, refusals for the same reason are only counted."""
MAX_DETAIL = 200
"""How many characters of a detail are logged at most. Most details are texts from the client."""
REASONS = (
    *(code.name.lower() for code in CloseCode if code not in {CloseCode.NO_PONG, CloseCode.TOO_SLOW}),
    "host",
    "origin",
    "path",
    "bad_request",
    "csrf",
    "bad_frame",
    "bad_topic",
    "forbidden_topic",
    "too_many_topics",
    "invalid",
    "token_invalid",
    "unavailable",
    "redis_unavailable",
    "method_not_allowed",
    "head_too_large",
    "head_too_slow",
    "too_many_pings",
    "too_many_parts",
)
"""All reasons. Text from a client never becomes a reason."""


@dataclass(slots=True)
class _Seen:
    logged_at: float
    unlogged: int = 0


class RefusalLog:
    """Stores for each reason when a refusal was last logged, and how many later refusals were not logged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def add(self, reason: str, message: str, **details: Any) -> None:
        """Count one refusal. Log it unless its reason was logged within the last `QUIET_SECONDS`."""
        counts.refusals[reason] += 1
        now, seen = self._clock(), self._seen.get(reason)
        if seen is not None and now - seen.logged_at < QUIET_SECONDS:
            seen.unlogged += 1
            return
        repeated = seen.unlogged if seen else 0
        self._seen[reason] = _Seen(now)
        short = {name: str(value)[:MAX_DETAIL] for name, value in details.items() if value is not None}
        log.warning("refused", reason=reason, message=message[:MAX_DETAIL], repeated=repeated, **short)


_log = RefusalLog()
refused = _log.add


def connection_refused(problem: RefusedError, scope: Any) -> None:
    """Count and log a connection or a poll that was refused."""
    refused(problem.code.name.lower(), str(problem), path=scope.get("path"), client=client_of(scope))


def client_of(scope: Any) -> str | None:
    """Return the client's address, or None if the ASGI server does not provide it."""
    client = scope.get("client")
    return client[0] if client else None
