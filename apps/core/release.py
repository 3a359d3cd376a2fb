"""Frees a request's body as soon as the request is answered.

REST framework connects a request, its view and its forms in reference cycles, which only the garbage collector frees.
Without this module the bodies of hundreds of requests would stay in memory until the collector's next run.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils.decorators import sync_and_async_middleware

Answer = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def release_bodies(get_response: Any) -> Answer:
    """Free the body of each answered request. Use this as the outermost middleware: it needs rendered answers."""

    async def answer_async(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await get_response(request)
        _release(request, response)
        return response

    def answer(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = get_response(request)
        _release(request, response)
        return response

    return answer_async if iscoroutinefunction(get_response) else answer


def _release(request: HttpRequest, response: HttpResponseBase) -> None:
    for handler in vars(request).get("_upload_handlers", ()):
        handler.request = None
    context = vars(response).pop("renderer_context", None)
    if not context:
        return
    view, wrapped = context["view"], context["request"]
    for value in list(vars(wrapped).values()):
        # Empty the parsed body itself, because a form may also refer to it. Django closes uploaded files.
        if isinstance(value, QueryDict) or type(value) is dict:
            dict.clear(value)
        elif type(value) is list:
            value.clear()
    vars(wrapped).clear()
    vars(view).clear()
