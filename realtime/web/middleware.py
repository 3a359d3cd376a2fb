"""Answers 503 if a revocation was committed but no process could be told of it."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.decorators import sync_and_async_middleware

from realtime.outbox.revoke import untold

Answer = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]
MESSAGE = (
    "It is stored, but Redis cannot be reached: what was issued before may still open until it can. "
    "Try again in a few seconds."
)


@sync_and_async_middleware
def tell_untold_revocations(get_response: Any) -> Answer:
    """Answer 503 if a logout or a changed account has ended nothing yet, because Redis cannot be reached.

    The relay tells it as soon as Redis is back. Without this middleware the answer is the view's own, and the log says
    `revocation_not_told`.
    """

    async def answer_async(request: HttpRequest) -> HttpResponseBase:
        waiting: list[str] = []
        untold.set(waiting)
        answer: HttpResponseBase = await get_response(request)
        return _unavailable(answer) if waiting else answer

    def answer(request: HttpRequest) -> HttpResponseBase:
        waiting: list[str] = []
        untold.set(waiting)
        answer: HttpResponseBase = get_response(request)
        return _unavailable(answer) if waiting else answer

    return answer_async if iscoroutinefunction(get_response) else answer


def _unavailable(answer: HttpResponseBase) -> HttpResponseBase:
    """Return the answer that says so, with the cookies that the view's own answer sets and deletes."""
    body = {"code": "revocation_pending", "message": MESSAGE}
    unavailable = JsonResponse(body, status=503, headers={"Retry-After": "5"})
    unavailable.cookies = answer.cookies
    return unavailable
