"""Which role may do what: each view says so, and what it does not name is refused."""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.core.tokens import Caller


class RoleAllows(BasePermission):
    """Reads the view's `roles`: method → roles, e.g. `{"GET": FACULTY, "POST": OFFICE}`. Deny by default.

    A method that the view does not have is nobody's: 405.
    Until a password that must be changed is changed, a token opens only views that say
    `opens_before_password_change = True`.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: object = request.user
        if not isinstance(caller, Caller):
            return False
        if caller.must_change_password and not getattr(view, "opens_before_password_change", False):
            raise PermissionDenied(
                "Change your password first (POST /api/v1/auth/password/).", "password_change_needed"
            )
        method = request.method or ""
        if method not in view.allowed_methods:
            raise MethodNotAllowed(method)
        roles = getattr(view, "roles", {})
        if caller.role not in roles.get("GET" if method == "HEAD" else method, ()):
            raise PermissionDenied(f"The role {caller.role.value!r} may not do this.", "role_refused")
        return True
