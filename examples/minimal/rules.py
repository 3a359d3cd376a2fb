"""Who a request comes from, and what that user may watch: the two functions that the engine needs from a project."""

import time
from typing import Any

from django.core import signing

from realtime.identity import Identity
from realtime.records.errors import TicketError


def access_token(**identity: Any) -> str:
    """Return an access token for a user, like the one that a sign-in returns.

    Your project may use a session instead, or a JWT of another service.
    """
    return signing.dumps({"session_id": "s", "role": "member", "issued_at": time.time(), **identity})


def authenticate(request: Any) -> Identity:
    """Return the identity of the user who sends a Django request. Raise TicketError if the token is not valid."""
    try:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Identity(**signing.loads(token, max_age=600))
    except signing.BadSignature:
        raise TicketError("Send Authorization: Bearer <token>.") from None


def allowed_topics(identity: Identity, named: list[str]) -> list[str]:  # noqa: ARG001 - the user does not matter here
    """Return the named topics, or all if none are named. The engine limits them to the user's own tenant."""
    return named or ["*"]


if __name__ == "__main__":
    print(access_token(tenant_id=1, user_id=1))
