"""Answers 503 if a revocation was committed, but could not be announced to any process."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_and_async_middleware

from realtime.outbox.revoke import unannounced

Answer = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]
MESSAGE = (
    "The change is stored, but Redis cannot be reached: older tokens and connections may work until it can. "
    "Try again in a few seconds."
)


@sync_and_async_middleware
def tell_untold_revocations(get_response: Any) -> Answer:
    """Answer 503 if the request has revoked something, such as a session, but Redis cannot be reached.

    The revoked tokens and connections still work until the relay has announced the revocation. Without this middleware
    the view's own answer would be sent, and only the log event `revocation_not_told` would show the problem.
    """

    async def answer_async(request: HttpRequest) -> HttpResponseBase:
        waiting: list[str] = []
        unannounced.set(waiting)
        answer: HttpResponseBase = await get_response(request)
        return _unavailable(answer) if waiting else answer

    def answer(request: HttpRequest) -> HttpResponseBase:
        waiting: list[str] = []
        unannounced.set(waiting)
        answer: HttpResponseBase = get_response(request)
        return _unavailable(answer) if waiting else answer

    return answer_async if iscoroutinefunction(get_response) else answer


def _unavailable(answer: HttpResponseBase) -> HttpResponseBase:
    """Return an answer with the status 503, and with the cookies that the view's own answer sets and deletes."""
    body = {"code": "revocation_pending", "message": MESSAGE}
    unavailable = JsonResponse(body, status=503, headers={"Retry-After": "5"})
    unavailable.cookies = answer.cookies
    return unavailable
