"""Lets only operators who are signed in to the admin use the operators' page and what it calls."""

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
    """Answer 401 unless an operator is signed in to the admin, and 405 to other methods. Check the CSRF token."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if not site.has_permission(request):
                return problem(401, "session_ended", "Sign in to the admin.")
            return view(request)

        return require_http_methods([method])(csrf_protect(answer))

    return decorate
