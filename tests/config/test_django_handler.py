"""Tests of the handler that runs each request in one thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from pytest_django import Settings

from config.django_handler import DjangoHandler

threads: list[str] = []
closed = threading.Event()


def note_thread(*_: Any, **__: Any) -> None:
    threads.append(threading.current_thread().name)


def plain(_request: HttpRequest) -> HttpResponse:
    note_thread()
    return HttpResponse("plain")


async def in_the_loop(_request: HttpRequest) -> HttpResponse:
    note_thread()
    return HttpResponse("asynchronous")


def failing(_request: HttpRequest) -> HttpResponse:
    raise ValueError("This view fails.")


class Endless:
    """Parts of an answer that does not end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"part"
        await asyncio.Future()

    def close(self) -> None:
        closed.set()


def endless(_request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(Endless())


urlpatterns = [path("plain", plain), path("loop", in_the_loop), path("failing", failing), path("endless", endless)]


@pytest.fixture(autouse=True)
def urls(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    settings.ALLOWED_HOSTS = ["*"]
    threads.clear()
    closed.clear()
    for signal in (request_started, request_finished):
        signal.connect(note_thread)
    yield
    for signal in (request_started, request_finished):
        signal.disconnect(note_thread)


async def ask(handler: Any, address: str, *, leaves: bool = False) -> tuple[int, bytes]:
    """Send a GET, and return the status and the body. With `leaves`, the client leaves after the first part."""
    scope = {"type": "http", "method": "GET", "path": address, "query_string": b"", "headers": [(b"host", b"here")]}
    sent: list[dict[str, Any]] = []
    first_part = asyncio.Event()
    received = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        for message in received:
            return message
        await (first_part.wait() if leaves else asyncio.Future())
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message.get("body"):
            first_part.set()

    await handler(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def test_the_signals_the_middlewares_and_the_view_of_a_request_run_in_one_thread() -> None:
    assert await ask(DjangoHandler(), "/plain") == (200, b"plain")
    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threading.current_thread().name not in threads


async def test_later_requests_use_the_same_threads_again() -> None:
    handler = DjangoHandler()
    for _ in range(100):
        await ask(handler, "/plain")
    assert len(set(threads)) < 20  # not 1: a thread becomes idle a moment after its answer


async def test_an_asynchronous_view_runs_in_the_event_loop_of_the_server() -> None:
    assert await ask(DjangoHandler(), "/loop") == (200, b"asynchronous")
    assert threading.current_thread().name in threads


async def test_an_error_of_a_view_is_answered_with_500() -> None:
    status, _body = await ask(DjangoHandler(), "/failing")
    assert status == 500


async def test_a_stream_ends_and_is_closed_when_its_client_is_gone() -> None:
    assert await asyncio.wait_for(ask(DjangoHandler(), "/endless", leaves=True), 30) == (200, b"part")
    assert closed.is_set()


@pytest.mark.parametrize("address", ["/plain", "/loop", "/missing"])
async def test_the_answers_are_those_of_djangos_own_handler(address: str) -> None:
    assert await ask(DjangoHandler(), address) == await ask(ASGIHandler(), address)
