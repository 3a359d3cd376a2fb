"""Tests of the cookie with the refresh token: its name with and without TLS, and which origins may use it."""

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from apps.core.refresh_cookie import answer_with_cookie, check_origin, clear_cookie, read_cookie

TOKENS = {"access": "an access token", "refresh": "a refresh token"}


def request(*, secure: bool, **cookies: str) -> Request:
    sent = RequestFactory().post("/api/v1/auth/refresh/", secure=secure)
    sent.COOKIES.update(cookies)
    return Request(sent)


def test_behind_tls_the_cookie_has_a_name_that_no_page_without_tls_can_set() -> None:
    answer = answer_with_cookie(request(secure=True), TOKENS, "hanbit", 60)
    (cookie,) = answer.cookies.values()
    assert (cookie.key, cookie["secure"], cookie["httponly"]) == ("__Secure-refresh_hanbit", True, True)
    held = request(secure=True, **{cookie.key: cookie.value, "refresh_hanbit": "planted"})
    assert read_cookie(held, "hanbit") == TOKENS["refresh"]
    clear_cookie(held, answer, "hanbit")
    deleted = answer.cookies[cookie.key]
    assert (deleted["max-age"], deleted["secure"]) == (0, True)


def test_behind_tls_a_cookie_without_the_prefix_is_ignored() -> None:
    assert read_cookie(request(secure=True, refresh_hanbit="planted"), "hanbit") == ""


def test_without_tls_the_cookie_has_no_prefix() -> None:
    answer = answer_with_cookie(request(secure=False), TOKENS, "hanbit", 60)
    assert list(answer.cookies) == ["refresh_hanbit"]


def test_behind_tls_a_page_without_tls_is_not_of_this_site() -> None:
    def sent(origin: str, *, secure: bool) -> Request:
        path, headers = "/api/v1/auth/refresh/", {"Host": "localhost", "Origin": origin}
        return Request(RequestFactory().post(path, secure=secure, headers=headers))

    check_origin(sent("https://localhost", secure=True))
    check_origin(sent("https://localhost", secure=False))  # its proxy does not say that it terminated TLS
    check_origin(sent("http://localhost", secure=False))
    with pytest.raises(PermissionDenied):
        check_origin(sent("http://localhost", secure=True))
