"""Tests that a ticket with missing or invalid claims raises TicketError, even if it is signed with our key."""

from typing import Any

import jwt
import pytest

from realtime.connect.tickets import ALGORITHM, AUDIENCE, read_ticket
from realtime.records.errors import TicketError
from realtime.redis.clock import clock

KEY = b"k" * 32


def signed(**changed: Any) -> str:
    """Return a signed ticket. Its claims are valid, unless `changed` replaces them. None leaves a claim out."""
    now = clock.now()
    claims = {
        "aud": AUDIENCE, "iat": now, "exp": now + 60, "first": now, "tenant": 7, "user": 1, "session": "s",
        "role": "owner", "topics": ["job:a"], "life": 3600, **changed,
    }  # fmt: skip
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, ALGORITHM)


def test_a_ticket_with_all_claims_is_read() -> None:
    assert read_ticket(signed(), KEY).topics.patterns == {"job:a"}


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": None},
        {"tenant": "hanbit"},
        {"user": []},
        {"topics": None},
        {"topics": 5},
        {"topics": ["no topic!"]},
        {"life": "9" * 5000},
        {"life": float("inf")},
        {"first": {}},
    ],
    ids=str,
)
def test_a_ticket_with_a_missing_or_strange_claim_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TicketError):
        read_ticket(signed(**changed), KEY)
