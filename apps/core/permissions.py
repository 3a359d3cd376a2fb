"""Permissions by role. Each view names the roles that may use each of its methods. All other roles are refused."""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.core.tokens import Caller


class RoleAllows(BasePermission):
    """Allows the roles in the view's `roles`, such as `{"GET": FACULTY, "POST": OFFICE}`, and refuses all others.

    A method that the view does not have is answered with 405. An account that must change its password may use only
    views with `opens_before_password_change = True`.
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
