"""The sessions of an account: `/api/v1/auth/sessions/…`.

Everybody can list and end the sessions of their own account. Owners can do so for every account of their academy, and
staff for the accounts of teachers, students and parents.
"""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_core, repositories_sessions
from academy.domain.roles import EVERYONE, OFFICE, may_manage
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.change_quota import NO_QUOTA
from apps.core.models import LoginSession
from apps.core.openapi import extend_schema
from apps.core.query_params import number_param
from apps.core.tokens import Caller

ENDED = inline_serializer("EndedSessions", {"ended": serializers.IntegerField()})
USER = OpenApiParameter("user", int, description="An account of the own academy that the caller may manage.")


class SessionSerializer(serializers.ModelSerializer[LoginSession]):
    """A sign-in on one device."""

    current = serializers.SerializerMethodField(help_text="Whether this request was sent in this sign-in.")

    class Meta:
        model = LoginSession
        fields = ("id", "current", "created_at", "last_used_at", "expires_at", "address", "user_agent")

    def get_current(self, session: LoginSession) -> bool:
        return session.pk == caller_of(self.context["request"]).session_id


def account_asked_for(request: Request) -> int:
    """Return the id in `?user=`, or the caller's id if there is none.

    Raises PermissionDenied if the caller may not manage the account, and NotFound if the caller's academy has no such
    account.
    """
    caller = caller_of(request)
    user_id = number_param(request, "user")
    if user_id is None or user_id == caller.user_id:
        return caller.user_id
    if caller.role not in OFFICE:
        raise PermissionDenied(f"The role {caller.role.value!r} sees its own sessions only.", "role_refused")
    role = repositories_core.role_in(caller.tenant_id, user_id)
    if role is None:
        raise NotFound("There is no such account.")
    if not may_manage(caller.role, role):
        raise PermissionDenied("Only owners see the sessions of owners and staff.", "role_refused")
    return user_id


def may_end(caller: Caller, user_id: int) -> bool:
    """Return whether the caller may end the sessions of this account of the caller's academy."""
    if user_id == caller.user_id:
        return True
    role = repositories_core.role_in(caller.tenant_id, user_id)
    return role is not None and may_manage(caller.role, role)


class SessionListView(ListAPIView[LoginSession]):
    """List the sessions of the caller, or of the account `?user=`. The most recently used session is the first."""

    throttle_classes = NO_QUOTA
    roles = {"GET": EVERYONE, "DELETE": EVERYONE}  # noqa: RUF012 - read only
    serializer_class = SessionSerializer

    def get_queryset(self) -> Any:
        return repositories_sessions.open_sessions(caller_of(self.request).tenant_id, account_asked_for(self.request))

    @extend_schema(parameters=[USER])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(operation_id="end_all_sessions", parameters=[USER], responses=ENDED)
    def delete(self, request: Request) -> Response:
        """End all sessions of the caller, or of the account `?user=`, except the session of this request."""
        caller, user_id = caller_of(request), account_asked_for(request)
        others = repositories_sessions.open_sessions(caller.tenant_id, user_id).exclude(pk=caller.session_id)
        ended = repositories_sessions.end_open_sessions(caller.tenant_id, others)
        audit_as(request, Event.SESSION_ENDED, subject=f"user:{user_id}", of_user=user_id, ended=ended)
        return Response({"ended": ended})


class SessionView(APIView):
    """End one session. This also ends its tokens, tickets and connections."""

    throttle_classes = NO_QUOTA
    roles = {"DELETE": EVERYONE}  # noqa: RUF012 - read only

    @extend_schema(operation_id="end_session", responses={204: None})
    def delete(self, request: Request, session_id: UUID) -> Response:
        caller = caller_of(request)
        user_id = repositories_sessions.owner_of_session(caller.tenant_id, session_id)
        if user_id is None or not may_end(caller, user_id):
            raise NotFound("There is no such session.")
        chosen = repositories_sessions.open_sessions(caller.tenant_id, user_id).filter(pk=session_id)
        ended = repositories_sessions.end_open_sessions(caller.tenant_id, chosen)
        audit_as(request, Event.SESSION_ENDED, subject=f"session:{session_id}", of_user=user_id, ended=ended)
        return Response(status=status.HTTP_204_NO_CONTENT)
