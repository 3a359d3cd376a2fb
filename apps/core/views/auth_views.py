"""Signing in and out: `/api/v1/auth/…`."""

import time
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_core import SessionEndedError, SignedIn
from academy.domain.passwords import normalised
from academy.domain.roles import EVERYONE
from academy.passwords import hash_password, password_matches
from apps.core.authentication import address_of, caller_of
from apps.core.errors import ApiError
from apps.core.hashing import HashingBusyError, Origin, hashing
from apps.core.models import User
from apps.core.throttling import Attempt, count_attempt
from apps.core.tokens import Caller, TokenError, access_token, read_refresh_token, refresh_token

TOKENS = inline_serializer("Tokens", {"access": serializers.CharField(), "refresh": serializers.CharField()})


class SignIn(serializers.Serializer[Any]):
    tenant = serializers.CharField(max_length=40, help_text="The academy's code.")
    username = serializers.CharField(max_length=60)
    password = serializers.CharField(max_length=200, trim_whitespace=False)


class RefreshToken(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=2000)


class NewPassword(serializers.Serializer[Any]):
    old_password = serializers.CharField(max_length=200, trim_whitespace=False)
    new_password = serializers.CharField(max_length=200, trim_whitespace=False)


def tokens_of(signed_in: SignedIn, issued_at: float) -> dict[str, str]:
    """`issued_at` was taken before the first read for this sign-in: what is revoked meanwhile ends these tokens too."""
    session, user = signed_in.session, signed_in.user
    caller = Caller(
        user_id=user.pk,
        session_id=session.pk,
        tenant_id=signed_in.tenant.pk,
        tenant_code=signed_in.tenant.code,
        role=signed_in.role,
        name=user.name or user.username,
        must_change_password=user.must_change_password,
        issued_at=issued_at,
    )
    refresh = refresh_token(session.pk, session.token_id, session.expires_at.timestamp())
    return {"access": access_token(caller), "refresh": refresh}


def check_password(attempt: Attempt, origin: Origin, user: User | None, password: str) -> bool:
    """Compare the password without holding a connection. Raises HashingBusyError (503, with Retry-After)."""
    password_hash = user.password if user else None
    try:
        return hashing().run(lambda: password_matches(password, password_hash), origin)
    except HashingBusyError:
        attempt.withdraw()
        raise


class TokenView(APIView):
    """Sign in."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(request=SignIn, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = SignIn(data=request.data)
        form.is_valid(raise_exception=True)
        tenant, username, password = (form.validated_data[name] for name in ("tenant", "username", "password"))
        address = address_of(request)
        attempt = count_attempt("sign-in", address=address, tenant=tenant, account=username)
        issued_at = time.time()
        user = repositories_core.find_account(tenant, username)
        right = check_password(attempt, Origin(tenant, address, attempt.known), user, password)
        signed_in = repositories_core.open_session(user) if right and user else None
        if signed_in is None:
            raise ApiError(401, "bad_credentials", "The academy, the user name or the password is wrong.")
        attempt.succeeded()
        return Response(tokens_of(signed_in, issued_at))


class RefreshView(APIView):
    """New tokens for a refresh token, which is used up by that."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(request=RefreshToken, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = RefreshToken(data=request.data)
        form.is_valid(raise_exception=True)
        issued_at = time.time()
        try:
            signed_in = repositories_core.rotate_session(*read_refresh_token(form.validated_data["refresh"]))
        except (TokenError, SessionEndedError) as problem:
            raise ApiError(401, "token_invalid", str(problem)) from None
        return Response(tokens_of(signed_in, issued_at))


class LogoutView(APIView):
    """Ends the session: its refresh token opens nothing any more."""

    opens_before_password_change = True
    roles = {"POST": EVERYONE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        repositories_core.end_session(caller.tenant_id, caller.session_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordView(APIView):
    """Changes the own password, which ends the account's other sessions."""

    opens_before_password_change = True
    roles = {"POST": EVERYONE}  # noqa: RUF012 - read only

    @extend_schema(request=NewPassword, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = NewPassword(data=request.data)
        form.is_valid(raise_exception=True)
        old, new = form.validated_data["old_password"], form.validated_data["new_password"]
        caller, address = caller_of(request), address_of(request)
        attempt = count_attempt("password", address=address, tenant=caller.tenant_code, account=str(caller.user_id))
        user = repositories_core.find_user(caller.user_id)
        if user is None:
            raise AuthenticationFailed("The account is closed.", "account_closed")
        origin = Origin(caller.tenant_code, address, known=True)
        if not check_password(attempt, origin, user, old):
            raise ApiError(400, "wrong_password", "The old password is wrong.")
        attempt.succeeded()
        if normalised(new) == normalised(old):
            raise ApiError(400, "same_password", "The new password is the old one: choose another.")
        try:
            validate_password(new, user)
        except ValidationError as problem:
            raise serializers.ValidationError({"new_password": problem.messages}) from None
        new_hash = hashing().run(lambda: hash_password(new), origin)
        if not repositories_core.change_password(user, new_hash):
            raise ApiError(409, "account_changed", "The account was changed at the same moment: sign in again.")
        issued_at = time.time()  # after the change, which ended everything until then
        signed_in = repositories_core.open_session(user)
        if signed_in is None:
            raise AuthenticationFailed("The account has no role in this academy.", "account_closed")
        return Response(tokens_of(signed_in, issued_at))
