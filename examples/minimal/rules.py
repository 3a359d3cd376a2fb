"""Who asks, and what they may watch: the two things that the engine cannot know."""

import time
from typing import Any

from django.core import signing

from realtime.identity import Identity
from realtime.records.errors import TicketError


def access_token(**identity: Any) -> str:
    """What a sign-in would give; yours may be a session, or a JWT of somebody else."""
    return signing.dumps({"session_id": "s", "role": "member", "issued_at": time.time(), **identity})


def authenticate(request: Any) -> Identity:
    """From a Django request. Raises TicketError."""
    try:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Identity(**signing.loads(token, max_age=600))
    except signing.BadSignature:
        raise TicketError("Send Authorization: Bearer <token>.") from None


def allowed_topics(identity: Identity, named: list[str]) -> list[str]:  # noqa: ARG001 - the user does not matter here
    """What is named, or everything; always of the own tenant only."""
    return named or ["*"]


if __name__ == "__main__":
    print(access_token(tenant_id=1, user_id=1))
