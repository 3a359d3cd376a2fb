"""Tickets with which an operator's page watches the figures of the whole system.

An operator belongs to no academy, so the ticket is for the reserved tenant 0, whose feed has figures and no data of any
academy. Only this module issues such tickets, and only to a session of the admin site: no access token gets one.
"""

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from realtime.connect.tickets import Ticket
from realtime.outbox.revoke import revoke_on_commit
from realtime.records.keys import SYSTEM_TENANT
from realtime.records.topics import STATS, TopicFilter
from realtime.redis.clock import clock

CONNECTION_SECONDS = 300
"""A connection ends after this time unless its page gets another ticket, which needs the session of the admin."""


def operators_ticket(request: HttpRequest) -> Ticket:
    """Return a ticket for the figures of the system. The caller must check first that an operator sent the request."""
    return Ticket(
        SYSTEM_TENANT,
        request.user.pk or 0,
        _mark(request),
        "operator",
        TopicFilter.of([STATS]),
        CONNECTION_SECONDS,
        issued_at=clock.now(),
    )


def _mark(request: HttpRequest) -> str:
    """Return a name for a session of the admin site. The session's key cannot be computed from it."""
    return salted_hmac("operations.session", request.session.session_key or "", algorithm="sha256").hexdigest()[:32]


@receiver(user_logged_out)
def end_watching(request: HttpRequest, **_: Any) -> None:
    """When an operator signs out of the admin site, end the connections that this session has opened."""
    if request.session.session_key:
        with transaction.atomic():
            revoke_on_commit(SYSTEM_TENANT, session_id=_mark(request))
