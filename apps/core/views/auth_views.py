"""Signing in and out: `/api/v1/auth/…`."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_core, repositories_sessions
from academy.adapters.db.django.repositories_core import SessionEndedError, SignedIn
from academy.domain.passwords import normalised
from academy.domain.roles import EVERYONE
from academy.passwords import hash_password
from apps.core.audit import Event, account_mark, audit, audit_limited
from apps.core.audit_requests import audit_as
from apps.core.authentication import LogoutAuthentication, address_of, caller_of, device_of
from apps.core.change_quota import NO_QUOTA
from apps.core.errors import ApiError
from apps.core.hashing import Origin, hashing
from apps.core.models import User
from apps.core.one_time_codes import read_code
from apps.core.openapi import extend_schema
from apps.core.password_rules import check_new_password, words_of
from apps.core.refresh_cookie import answer_with_cookie, check_origin, clear_cookie, read_cookie
from apps.core.sign_in import SignInResult, check_password, sign_in
from apps.core.throttling import Attempt, count_attempt
from apps.core.tokens import Caller, TokenError, access_token, read_refresh_token, refresh_token
from realtime.redis.clock import clock

COOKIE_NAME = r"^[\w!#$%&'*+.^`|~:-]+\Z"
"""The characters that the name of a cookie may have (`http.cookies`)."""
WITH_TOKEN_OR_WITHOUT: Any = [{"accessToken": []}, {}]
"""The OpenAPI `security` of a view that can be called with or without an access token."""
TOKENS = inline_serializer(
    "Tokens",
    {
        "access": serializers.CharField(),
        "refresh": serializers.CharField(required=False, help_text="Missing if the request asked for a cookie."),
    },
)


class SignIn(serializers.Serializer[Any]):
    tenant = serializers.CharField(max_length=40, help_text="The academy's code.")
    username = serializers.CharField(max_length=60)
    password = serializers.CharField(max_length=200, trim_whitespace=False, help_text="Or a one-time code.")
    cookie = serializers.BooleanField(default=False, help_text="Put the refresh token into a cookie.")


class RefreshToken(serializers.Serializer[Any]):
    """Has either the refresh token (`refresh`), or the code of the academy whose cookie has the token (`tenant`).

    If `cookie` is true, the new refresh token is put into a cookie. `tenant` is accepted only then.
    """

    refresh = serializers.CharField(max_length=2000, required=False)
    cookie = serializers.BooleanField(default=False)
    tenant = serializers.RegexField(
        COOKIE_NAME, max_length=40, required=False, help_text="The academy whose cookie is meant."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        by_cookie = attrs["cookie"] and "tenant" in attrs
        if ("tenant" in attrs) != by_cookie or ("refresh" in attrs) == by_cookie:
            raise serializers.ValidationError('Send either "refresh", or "cookie": true and "tenant".')
        return attrs


class NewPassword(serializers.Serializer[Any]):
    old_password = serializers.CharField(
        max_length=200, trim_whitespace=False, required=False, help_text="Not needed after a sign-in with a code."
    )
    new_password = serializers.CharField(max_length=200, trim_whitespace=False)
    cookie = serializers.BooleanField(default=False, help_text="Put the refresh token into a cookie.")


def tokens_of(signed_in: SignedIn, issued_at: float) -> dict[str, str]:
    """Return the tokens of a sign-in.

    `issued_at` is a time before the first query of this sign-in, so that any later revocation also ends these tokens.
    """
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
        has_password=user.has_usable_password(),
    )
    refresh = refresh_token(session.pk, session.token_id, session.expires_at.timestamp())
    return {"access": access_token(caller), "refresh": refresh}


def answer_tokens(request: Request, signed_in: SignedIn, issued_at: float, *, cookie: bool) -> Response:
    tokens = tokens_of(signed_in, issued_at)
    if not cookie:
        return Response(tokens)
    seconds = int(signed_in.session.expires_at.timestamp() - issued_at)
    return answer_with_cookie(request, tokens, signed_in.tenant.code, seconds)


class TokenView(APIView):
    """Sign in."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(request=SignIn, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = SignIn(data=request.data)
        form.is_valid(raise_exception=True)
        if form.validated_data["cookie"]:
            check_origin(request)
        tenant, username, password = (form.validated_data[name] for name in ("tenant", "username", "password"))
        attempt = self._count(request, tenant, username)
        issued_at = clock.now()
        result = sign_in(
            tenant, username, password, attempt=attempt, address=address_of(request), device=device_of(request)
        )
        self._note(request, result, account_mark(tenant, username))
        if result.signed_in is None and result.reason == "code_expired":
            raise ApiError(401, "code_expired", "The one-time code has expired: ask your academy for a new one.")
        if result.signed_in is None:
            raise ApiError(401, "bad_credentials", "The academy, the user name or the password is wrong.")
        attempt.succeeded()
        return answer_tokens(request, result.signed_in, issued_at, cookie=form.validated_data["cookie"])

    @staticmethod
    def _count(request: Request, tenant: str, username: str) -> Attempt:
        try:
            return count_attempt("sign-in", address=address_of(request), tenant=tenant, account=username)
        except Throttled:
            audit_limited(address_of(request), tenant, username)
            raise

    @staticmethod
    def _note(request: Request, result: SignInResult, mark: str) -> None:
        user, address = result.user, address_of(request)
        tenant_id, subject = (user.tenant_id, f"user:{user.pk}") if user else (None, f"account:{mark}")
        if user and result.signed_in:
            audit(
                Event.SIGNED_IN,
                tenant=tenant_id,
                user=user.pk,
                session=result.signed_in.session.pk,
                address=address,
                subject=subject,
                by=result.by,
            )
        else:
            audit(
                Event.SIGN_IN_FAILED,
                tenant=tenant_id,
                address=address,
                subject=subject,
                outcome="failed",
                reason=result.reason,
            )


class RefreshView(APIView):
    """Exchange a refresh token for new tokens. Use each refresh token once: it is invalid a few seconds later."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(request=RefreshToken, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = RefreshToken(data=request.data)
        form.is_valid(raise_exception=True)
        cookie, tenant_code = form.validated_data["cookie"], form.validated_data.get("tenant")
        if cookie:
            check_origin(request)
        token = read_cookie(request, tenant_code) if tenant_code else form.validated_data["refresh"]
        issued_at = clock.now()
        try:
            session_id, token_id = read_refresh_token(token)
            signed_in = repositories_core.rotate_session(session_id, token_id, device_of(request))
            if tenant_code and signed_in.tenant.code != tenant_code:
                raise TokenError("The cookie holds a token of another academy: sign in again.")
        except SessionEndedError as problem:
            self._note(request, session_id, problem)
            raise ApiError(401, "token_invalid", str(problem)) from None
        except TokenError as problem:
            raise ApiError(401, "token_invalid", str(problem)) from None
        return answer_tokens(request, signed_in, issued_at, cookie=cookie)

    @staticmethod
    def _note(request: Request, session_id: UUID, problem: SessionEndedError) -> None:
        tenant_id, user_id = repositories_sessions.owner_of_any_session(session_id)
        audit(
            Event.REFRESH_REFUSED,
            tenant=tenant_id,
            user=user_id,
            session=session_id,
            address=address_of(request),
            subject=f"session:{session_id}",
            outcome="refused",
            reason=problem.reason,
        )


class LogoutView(APIView):
    """End the session of the access token. If there is no access token, end the session of the refresh token.

    A logout does not need Redis. The answer deletes the academy's cookie if the browser sent it, even if ending the
    session fails. Only a logout by a refresh token in the body keeps the cookie.
    """

    authentication_classes = (LogoutAuthentication,)
    throttle_classes = NO_QUOTA
    opens_before_password_change = True
    roles = {"POST": EVERYONE}  # noqa: RUF012 - read only
    _by_refresh_token = False
    _cookie_of: str | None = None

    @extend_schema(request=RefreshToken, responses={204: None}, auth=WITH_TOKEN_OR_WITHOUT)
    def post(self, request: Request) -> Response:
        if self._by_refresh_token:
            self._end_by_refresh_token(request)
        else:
            caller = caller_of(request)
            self._cookie_of = caller.tenant_code
            repositories_core.end_session(caller.tenant_id, caller.session_id)
            audit_as(request, Event.SIGNED_OUT, subject=f"session:{caller.session_id}")
        return Response(status=status.HTTP_204_NO_CONTENT)

    def check_permissions(self, request: Request) -> None:
        self._by_refresh_token = request.method == "POST" and request.auth is None and bool(request.data)
        if not self._by_refresh_token:
            super().check_permissions(request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._cookie_of is not None:
            clear_cookie(request, response, self._cookie_of)
        return response

    def _end_by_refresh_token(self, request: Request) -> None:
        """End the session of the refresh token. Do nothing if the token is no longer valid."""
        form = RefreshToken(data=request.data)
        form.is_valid(raise_exception=True)
        token, tenant_code = form.validated_data.get("refresh", ""), form.validated_data.get("tenant")
        if tenant_code is not None:
            check_origin(request)
            self._cookie_of = tenant_code
            token = read_cookie(request, tenant_code)
        try:
            session_id, _ = read_refresh_token(token)
        except TokenError:
            return
        owner = repositories_sessions.owner_of_open_session(session_id, tenant_code)
        if owner is None:
            return
        tenant_id, user_id = owner
        repositories_core.end_session(tenant_id, session_id)
        subject, address = f"session:{session_id}", address_of(request)
        audit(Event.SIGNED_OUT, tenant=tenant_id, user=user_id, session=session_id, address=address, subject=subject)


class PasswordView(APIView):
    """Change the caller's password. All sessions of the account end. The answer has the tokens of a new session.

    `old_password` is not needed if the account has no password, as after a sign-in with a one-time code.
    """

    throttle_classes = NO_QUOTA
    opens_before_password_change = True
    roles = {"POST": EVERYONE}  # noqa: RUF012 - read only

    @extend_schema(request=NewPassword, responses=TOKENS)
    def post(self, request: Request) -> Response:
        form = NewPassword(data=request.data)
        form.is_valid(raise_exception=True)
        if form.validated_data["cookie"]:
            check_origin(request)
        user = repositories_core.find_user(caller_of(request).user_id)
        if user is None:
            raise AuthenticationFailed("The account is closed.", "account_closed")
        self._change(request, user, form.validated_data.get("old_password"), form.validated_data["new_password"])
        issued_at = clock.now()  # after the change, which revokes all earlier tokens
        signed_in = repositories_core.open_session(user, device_of(request))
        if signed_in is None:
            raise AuthenticationFailed("The account has no role in this academy.", "account_closed")
        return answer_tokens(request, signed_in, issued_at, cookie=form.validated_data["cookie"])

    @staticmethod
    def _change(request: Request, user: User, old: str | None, new: str) -> None:
        has_password = user.has_usable_password()
        if has_password and old is None:
            raise serializers.ValidationError({"old_password": ["Type the present password, too."]})
        caller, address = caller_of(request), address_of(request)
        attempt = count_attempt("password", address=address, tenant=caller.tenant_code, account=str(caller.user_id))
        origin = Origin(caller.tenant_code, address, user=caller.user_id)
        if not has_password:
            _check_session_of_code(caller)
        elif not check_password(attempt, origin, user, old or ""):
            audit_as(request, Event.PASSWORD_REFUSED, subject=f"user:{user.pk}", outcome="failed")
            raise ApiError(400, "wrong_password", "The old password is wrong.")
        attempt.succeeded()
        if (normalised(new) == normalised(old or "")) if has_password else read_code(new):
            raise ApiError(400, "same_password", "The new password is the old one: choose another.")
        check_new_password("new_password", new, words_of(user))
        new_hash = hashing().run(lambda: hash_password(new), origin)
        if not repositories_core.change_password(user, new_hash):
            raise ApiError(409, "account_changed", "The account was changed at the same moment: sign in again.")
        audit_as(request, Event.PASSWORD_CHANGED, subject=f"user:{user.pk}")


def _check_session_of_code(caller: Caller) -> None:
    """Raise AuthenticationFailed unless the session of a caller without a password is open in the database.

    The transaction that takes away a password also ends all sessions of the account. So an open session was begun
    afterwards, with a one-time code. The access token is not enough, because the revocation of an ended session may
    reach this process a moment later.
    """
    if repositories_sessions.owner_of_session(caller.tenant_id, caller.session_id) != caller.user_id:
        raise AuthenticationFailed("The session has ended: sign in again.", "session_ended")
