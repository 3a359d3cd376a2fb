"""Restricts the operators' page, and the views that it calls, to operators who are signed in to the admin."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.core.operators.site import site

View = Callable[[HttpRequest], HttpResponse]


def problem(status: int, code: str, message: str) -> JsonResponse:
    """Return an error answer like those of the API."""
    return JsonResponse({"code": code, "message": message}, status=status)


def for_operators(method: str) -> Callable[[View], View]:
    """Return a decorator for views that only operators may call, and only with this HTTP method.

    The view answers 405 to other methods, 403 to a POST without the CSRF token, and 401 if no operator is signed in to
    the admin.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if not site.has_permission(request):
                return problem(401, "session_ended", "Sign in to the admin.")
            return view(request)

        return require_http_methods([method])(csrf_protect(answer))

    return decorate
