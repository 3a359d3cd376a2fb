"""The sign-in of operators to the admin. It has the same limits and the same hashing queue as all sign-ins."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from rest_framework.exceptions import APIException, Throttled

from academy.adapters.db.django import repositories_core
from apps.core.audit import Event, account_mark, audit, audit_limited
from apps.core.authentication import address_of
from apps.core.hashing import Origin, password_is_right
from apps.core.throttling import count_attempt

BACKEND = "apps.core.authentication.TenantBackend"


class OperatorSignInForm(AdminAuthenticationForm):
    """Signs in only operators: superusers, who belong to no academy."""

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is not None and password:
            try:
                self._sign_in(username, password)
            except APIException as problem:  # too many attempts, or too many passwords to check
                if isinstance(problem, Throttled):
                    audit_limited(address_of(self.request), "", username)
                raise ValidationError(str(problem.detail)) from None
        return self.cleaned_data

    def _sign_in(self, username: str, password: str) -> None:
        address = address_of(self.request)
        attempt = count_attempt("operator", address=address, tenant="", account=username)
        user = repositories_core.find_operator(username)
        right = password_is_right(user, password, Origin("", address, attempt.known))
        if user is None or not right:
            subject = f"user:{user.pk}" if user else f"account:{account_mark('', username)}"
            audit(Event.OPERATOR_SIGN_IN_FAILED, tenant=None, address=address, subject=subject, outcome="failed")
            raise self.get_invalid_login_error()
        attempt.succeeded()
        user.backend = BACKEND  # as Django's `authenticate` sets it
        self.user_cache = user
        audit(Event.OPERATOR_SIGNED_IN, tenant=None, user=user.pk, address=address, subject=f"user:{user.pk}")
