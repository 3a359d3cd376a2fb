"""Who asks, and what they may see: what a project's own code answers for the engine."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks for a ticket, as the project's own authentication says."""

    tenant_id: int
    user_id: int
    session_id: str
    role: str
    tenant_code: str = ""
    """For the name of the tenant's cookie; without it there are no tickets in cookies."""
    issued_at: float = 0.0
    """When its token was issued, Unix seconds: a revocation since then ends it."""


Authenticator = Callable[[Any], Identity]
"""From a Django request. Raises a `TicketError` for who is not signed in."""

TopicRules = Callable[[Identity, list[str]], Iterable[str]]
"""From who asks and the topics named, the patterns permitted; raises `ForbiddenTopicError`. Deny by default."""
