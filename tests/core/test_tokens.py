"""Tests that only tokens that we signed, for their purpose and with our algorithm, are accepted."""

import base64
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.crypto import salted_hmac
from pytest_django import Settings

from academy.domain.roles import Role
from apps.core.keys import FOR_ACCESS, FOR_REFRESH, signing_keys
from apps.core.tokens import (
    Caller,
    TokenError,
    TokenExpiredError,
    access_token,
    read_access_token,
    read_refresh_token,
    refresh_token,
)
from realtime import conf
from realtime.connect.tickets import (
    Ticket,
    issue_cookie_ticket,
    issue_ticket,
    read_cookie_ticket,
    read_renewable,
    read_rights,
    read_ticket,
)
from realtime.records.errors import TicketError
from realtime.records.topics import TopicFilter
from realtime.web.handshake import read_handshake
from realtime.web.ticket_readers import TicketReader
from realtime.web.ticket_view import _set_cookie

CALLER = Caller(7, UUID(int=1), 3, "hanbit", Role.TEACHER, "김 선생", must_change_password=False)
TICKET = Ticket(3, 7, "session", "teacher", TopicFilter.of(["*"]), 3600)


def key() -> bytes:
    return signing_keys(FOR_ACCESS)[0]


def signed(**changes: Any) -> str:
    """Return an access token with changed claims. A claim that is changed to None is left out."""
    claims = jwt.decode(access_token(CALLER), options={"verify_signature": False}) | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key(), "HS256")


def unsigned(header: dict[str, str], token: str) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


def readers() -> dict[str, Callable[[str], object]]:
    return {
        "access": read_access_token,
        "refresh": read_refresh_token,
        "ticket": lambda text: read_ticket(text, *conf.ticket_keys()),
        "cookie": lambda text: read_cookie_ticket(text, "realtime_x", *conf.ticket_keys(), reconnecting=True),
    }


def one_of_each() -> dict[str, str]:
    return {
        "access": access_token(CALLER),
        "refresh": refresh_token(uuid4(), uuid4(), time.time() + 60),
        "ticket": issue_ticket(TICKET, conf.ticket_key()),
        "cookie": issue_cookie_ticket(TICKET, conf.ticket_key(), "realtime_x"),
    }


def test_reading_a_token_returns_the_caller_for_whom_it_was_made() -> None:
    session, token = uuid4(), uuid4()
    read = read_access_token(access_token(CALLER))
    assert replace(read, issued_at=0.0) == CALLER
    assert abs(read.issued_at - time.time()) < 60
    assert read_refresh_token(refresh_token(session, token, time.time() + 60)) == (session, token)


def test_a_token_and_a_ticket_are_issued_at_the_time_before_the_account_was_read() -> None:
    asked_at = time.time() - 20
    access = access_token(replace(CALLER, issued_at=asked_at))
    ticket = issue_ticket(replace(TICKET, issued_at=asked_at), conf.ticket_key())
    assert read_access_token(access).issued_at == asked_at
    read = read_ticket(ticket, conf.ticket_key())
    assert read.issued_at == read.first_issued_at == asked_at
    lives = [claims["exp"] - claims["iat"] for claims in (unchecked(access), unchecked(ticket))]
    assert lives == pytest.approx([600, 60])


def unchecked(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_a_token_that_expires_during_a_long_upload_is_valid_for_it() -> None:
    now = time.time()
    expired = access_token(replace(CALLER, issued_at=now - 700))  # 100 s ago
    assert read_access_token(expired, arrived_at=now - 200).user_id == CALLER.user_id
    for arrived_at in (now - 50, now, now + 50, None):
        with pytest.raises(TokenExpiredError):
            read_access_token(expired, arrived_at)
    with pytest.raises(TokenExpiredError):  # no request may last that long
        read_access_token(access_token(replace(CALLER, issued_at=now - 24 * 3600)), arrived_at=now - 24 * 3600)


@pytest.mark.parametrize("made", ["access", "refresh", "ticket", "cookie"])
def test_a_token_of_one_kind_is_not_accepted_as_another(made: str) -> None:
    for kind, read in readers().items():
        if kind == made:
            read(one_of_each()[made])
        else:
            with pytest.raises((TokenError, TicketError)):
                read(one_of_each()[made])


def test_even_with_one_key_the_audience_distinguishes_the_kinds() -> None:
    claims = jwt.decode(access_token(CALLER), options={"verify_signature": False})
    with pytest.raises(TicketError):
        read_ticket(jwt.encode(claims, conf.ticket_key(), "HS256"), conf.ticket_key())
    assert len({*signing_keys(FOR_ACCESS), *signing_keys(FOR_REFRESH), *conf.ticket_keys()}) == 3


def test_the_ticket_of_a_cookie_is_accepted_only_as_that_cookie() -> None:
    key = conf.ticket_key()
    text = issue_cookie_ticket(TICKET, key, "realtime_x")
    for name in ("realtime_y", "__Secure-realtime_x", ""):
        with pytest.raises(TicketError):
            read_cookie_ticket(text, name, key, reconnecting=True)
    for read in (read_rights, read_renewable):
        with pytest.raises(TicketError):
            read(text, key)


def test_behind_tls_the_cookie_has_a_name_that_no_page_without_tls_can_set() -> None:
    answer = HttpResponse()
    _set_cookie(RequestFactory().post("/", secure=True), answer, "hanbit", TICKET)
    (cookie,) = answer.cookies.values()
    assert (cookie.key, cookie["secure"], cookie["path"]) == ("__Secure-realtime_hanbit", True, "/api/v1/events/")
    headers = [(b"cookie", f"realtime_hanbit=planted; {cookie.key}={cookie.value}".encode()), (b"last-event-id", b"x")]
    scope = {"type": "http", "headers": headers, "query_string": b"tenant=hanbit"}
    assert read_handshake(TicketReader.EVENTS, scope).ticket.user_id == TICKET.user_id


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    with pytest.raises(TokenError):
        read_access_token(unsigned({"alg": algorithm, "typ": "JWT"}, access_token(CALLER)))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_key(algorithm: str) -> None:
    claims = jwt.decode(access_token(CALLER), options={"verify_signature": False})
    with pytest.raises(TokenError):
        read_access_token(jwt.encode(claims, key() * 2, algorithm))
    with pytest.raises(TokenError):
        read_access_token(unsigned({"alg": algorithm}, access_token(CALLER)) + access_token(CALLER).split(".")[2])


def test_another_key_is_refused() -> None:
    claims = jwt.decode(access_token(CALLER), options={"verify_signature": False})
    with pytest.raises(TokenError):
        read_access_token(jwt.encode(claims, b"another key of thirty-two letters", "HS256"))


OLD, NEW = "an old secret key of thirty-two letters", "a new secret key of thirty-two letters"


def test_a_replaced_key_verifies_as_a_fallback_and_never_signs(settings: Settings) -> None:
    settings.SECRET_KEY = OLD
    of_old = one_of_each()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    of_new = one_of_each()
    for kind, read in readers().items():
        read(of_old[kind])
        read(of_new[kind])
    settings.SECRET_KEY_FALLBACKS = []
    for kind, read in readers().items():
        read(of_new[kind])
        with pytest.raises((TokenError, TicketError)):
            read(of_old[kind])


def test_tokens_of_the_previous_version_are_read_as_their_kind_and_no_longer_issued(
    settings: Settings,
) -> None:
    before = salted_hmac("academy.tokens", "signing key", algorithm="sha256").digest()
    now = one_of_each()
    readers_of = readers()
    for kind in ("access", "refresh"):
        old = jwt.encode(unchecked(now[kind]), before, "HS256")
        for other, read in readers_of.items():
            if other == kind:
                read(old)
            else:
                with pytest.raises((TokenError, TicketError)):
                    read(old)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(now[kind], before, ["HS256"], options={"verify_aud": False})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [settings.SECRET_KEY]
    with pytest.raises(TokenError):  # the old way of signing is accepted with SECRET_KEY only
        read_access_token(jwt.encode(unchecked(now["access"]), before, "HS256"))


def test_tickets_have_a_key_for_each_secret_and_the_first_is_that_of_the_secret_key(settings: Settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    old = conf.ticket_keys()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    new, *fallbacks = conf.ticket_keys()
    assert fallbacks == old
    assert new not in old


def test_an_expired_token_of_a_fallback_says_that_it_has_expired(settings: Settings) -> None:
    settings.SECRET_KEY = OLD
    expired = signed(exp=int(time.time()) - 1)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    with pytest.raises(TokenExpiredError):
        read_access_token(expired)


def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = access_token(CALLER).split(".")
    claims = jwt.decode(access_token(CALLER), options={"verify_signature": False}) | {"role": "owner"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(TokenError):
        read_access_token(f"{head}.{body}.{signature}")


def test_an_expired_token_says_that_it_has_expired() -> None:
    with pytest.raises(TokenExpiredError, match="expired"):
        read_access_token(signed(exp=int(time.time()) - 1))
    with pytest.raises(TokenExpiredError):
        read_refresh_token(refresh_token(uuid4(), uuid4(), time.time() - 1))


@pytest.mark.parametrize(
    "claim", ["exp", "aud", "user", "session", "tenant", "tenant_code", "role", "name", "must_change_password"]
)
def test_a_token_without_a_required_claim_is_refused(claim: str) -> None:
    with pytest.raises(TokenError):
        read_access_token(signed(**{claim: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "superuser"},
        {"role": ["owner"]},
        {"user": "x"},
        {"user": []},
        {"session": "x"},
        {"session": 7},
        {"tenant": {}},
        {"aud": ["refresh", "realtime"]},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": math.nan},
        {"exp": math.inf},
        {"exp": 10**29},
        {"iat": math.nan},
        {"iat": math.inf},
        {"user": math.inf},
        {"nbf": int(time.time()) + 86_400},  # a whole day, as this list is made long before the test runs
    ],
)
def test_a_token_with_an_invalid_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        read_access_token(signed(**changes))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "\xff\xfe", "x" * 100_000, "e30.e30.e30", "김.이.박", "\0"])
def test_a_text_that_is_not_a_token_is_refused(text: str) -> None:
    for read in readers().values():
        with pytest.raises((TokenError, TicketError)):
            read(text)
