"""The interfaces through which a project's code tells the engine who a client is, and what it may watch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a ticket request, as the project's own authentication identifies them."""

    tenant_id: int
    user_id: int
    session_id: str
    role: str
    tenant_code: str = ""
    """A part of the name of the cookie with the tenant's ticket. If it is empty, tickets are never sent in cookies."""
    issued_at: float = 0.0
    """When the user's token was issued, in Unix seconds. A later revocation ends the token."""


Authenticator = Callable[[Any], Identity]
"""Returns the identity of a Django request. Raises a `TicketError` if nobody is signed in."""

TopicRules = Callable[[Identity, list[str]], Iterable[str]]
"""Returns those of the requested topic patterns that this user may watch. Patterns that are not returned are denied.

An empty list requests all patterns that the user may watch. May raise ForbiddenTopicError.
"""
