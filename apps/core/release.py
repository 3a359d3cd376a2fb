"""Frees a request's body as soon as the request is answered.

REST framework connects a request, its view and its forms in reference cycles, which only the garbage collector frees.
Without this module the bodies of hundreds of requests would stay in memory until the collector's next run.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils.decorators import sync_only_middleware

Answer = Callable[[HttpRequest], HttpResponseBase]


@sync_only_middleware
def release_bodies(get_response: Answer) -> Answer:
    """Free the body of each answered request. Use this as the outermost middleware: it needs rendered answers."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        _release(request, response)
        return response

    return answer


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
