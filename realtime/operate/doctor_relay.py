"""The doctor's checks of the outbox and its relay."""

import time

from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from realtime import conf
from realtime.operate.doctor import first_line, new_attempt
from realtime.operate.doctor_servers import NO_DATABASE, NOT_USED
from realtime.outbox.outbox import is_written, seconds_until_relayed, waiting
from realtime.records.errors import CheckFailedError
from realtime.records.keys import SYSTEM_TENANT

RELAY_TOPIC = "doctor:relay"
RELAY_SECONDS = 10.0
OLD_SECONDS = 30.0
"""How old an unsent row may be. By then the process that wrote the row, or a relay, should have sent it."""


def _outbox_unused() -> str:
    """Return why this project seems not to use the outbox and its relay, or "" if it seems to use them.

    Raise DatabaseError if the database fails.
    """
    if connection.vendor == NO_DATABASE:
        return f"{NOT_USED}: it needs PostgreSQL, and DATABASES names none"
    if connection.vendor != "postgresql":
        return f"{NOT_USED}: it needs PostgreSQL, and the database is {connection.vendor}"
    if conf.declares_outbox() or is_written() or _relay_has_run():
        return ""
    return f"{NOT_USED}: nothing was written to it within a day, and no relay has run"


def _relay_has_run() -> bool:
    """Return whether a relay has run with this Redis, or True if Redis does not answer."""
    try:
        return conf.publisher().filled_run_id() is not None
    except RedisError:
        return True


def check_outbox() -> str:
    try:
        if unused := _outbox_unused():
            return unused
        found = waiting()
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be read: {first_line(problem)}", "Repair the database first (manage.py migrate)."
        ) from None
    if found.oldest_seconds > OLD_SECONDS:
        raise CheckFailedError(
            f"its oldest row has waited for {found.oldest_seconds:.0f} s",
            "Start a worker or manage.py realtime_relay; if one runs, its log says outbox_rows_not_sent and why.",
        )
    if found.set_aside:
        raise CheckFailedError(
            f"{found.set_aside} rows can never be sent as they are, and were set aside",
            "manage.py realtime_outbox lists them with the reasons, and sends them again.",
        )
    age = found.oldest_seconds
    return f"the oldest row has waited for {age:.0f} s" if age else "empty: everything was sent"


def check_relay() -> str:
    """Write a row without sending it, as if this process had died after the commit. Wait until a relay sends it."""
    payload = {"topic": RELAY_TOPIC, "attempt": new_attempt(), "status": "DONE", "published_at": time.time()}
    try:
        if unused := _outbox_unused():
            return unused
        seconds = seconds_until_relayed(SYSTEM_TENANT, payload, RELAY_SECONDS)
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be tried: {first_line(problem)}", "Repair the database first (manage.py migrate)."
        ) from None
    if seconds is None:
        raise CheckFailedError(
            f"a row in the outbox was not sent within {RELAY_SECONDS:g} s",
            "Start a worker or manage.py realtime_relay; if one runs, read its log.",
        )
    return f"at work: it sent a row after {seconds:.1f} s"


def check_fill() -> str:
    """Check whether a relay has filled Redis since Redis last started. The relay notes each fill in Redis."""
    publisher = conf.publisher()
    try:
        if unused := _outbox_unused():
            return unused
        filled = publisher.filled_run_id() == publisher.run_id()
    except RedisError as problem:
        raise CheckFailedError(f"cannot be read: {problem}", "Repair Redis first.") from None
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be read: {first_line(problem)}", "Repair the database first (manage.py migrate)."
        ) from None
    if not filled:
        raise CheckFailedError(
            "not filled since its last start: ended jobs of the last 24 h may be missing",
            "Start a worker or manage.py realtime_relay; if one runs, its log says redis_not_filled and why.",
        )
    return "filled by the relay since its last start"
