"""Answers the errors that no view of the API answers. A browser gets a small page, and every other client gets JSON.

`config/urls.py` and `CSRF_FAILURE_VIEW` name these functions. The pages need no session, no script and no database.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from apps.core import errors
from apps.core.operators.middleware import ADMIN_PATH

log = structlog.get_logger(__name__)

JSON, HTML = "application/json", "text/html"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Answer = Callable[..., JsonResponse]
Sentences = tuple[str, str]
"""What happened, and what to do."""

PAGES: dict[str, tuple[Sentences, Sentences]] = {
    "bad_request": (
        ("요청을 읽을 수 없습니다", "주소나 보낸 내용이 잘못되었습니다. 처음 화면에서 다시 시작해 주십시오."),
        ("The request cannot be read", "Its address or its content is wrong. Begin again at the first page."),
    ),
    "forbidden": (
        ("이 화면을 볼 수 없습니다", "권한이 없는 계정입니다. 다른 계정으로 로그인해 주십시오."),
        ("You may not open this page", "Your account lacks the permission. Sign in with another account."),
    ),
    "csrf": (
        (
            "양식을 보내지 못했습니다",
            "로그인이 바뀌었거나 쿠키가 차단되었습니다. 화면을 다시 열고 한 번 더 보내 주십시오.",
        ),
        (
            "The form was not accepted",
            "The sign-in has changed, or cookies are blocked. Open the page again, then send the form again.",
        ),
    ),
    "not_found": (
        ("없는 화면입니다", "주소가 잘못되었거나 화면이 옮겨졌습니다."),
        ("There is no such page", "The address is wrong, or the page has moved."),
    ),
    "internal": (
        ("서버에 문제가 생겼습니다", "문제를 기록했습니다. 잠시 후 다시 시도해 주십시오."),
        ("Something went wrong on our side", "It has been noted. Try again in a minute."),
    ),
}
"""The Korean and the English sentences of each page. The keys are the error codes of the API for the same problems."""


def with_page(code: str, answer: Answer) -> Answer:
    """Return a view that answers a browser with the page of this code, and other clients with what `answer` returns."""

    @wraps(answer)
    def answer_each(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answered: HttpResponse = answer(request, *args, **kwargs)
        if _prefers_a_page(request):
            try:
                answered = _page(request, code, answered.status_code)
            except Exception:
                if answered.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                log.exception("page_not_rendered")
        patch_vary_headers(answered, ["Accept"])
        return answered

    return answer_each  # type: ignore[return-value]


def _prefers_a_page(request: HttpRequest) -> bool:
    try:
        return bool(request.get_preferred_type([JSON, HTML]) == HTML)
    except (ValueError, LookupError, TypeError):  # Accept has a wrong extended parameter (RFC 2231)
        return False


def _page(request: HttpRequest, code: str, status: int) -> HttpResponse:
    korean, english = PAGES[code]
    of_operators = settings.ADMIN_SITE and request.path.startswith(ADMIN_PATH)
    words = {"korean": korean, "english": english, "home": ADMIN_PATH if of_operators else "/"}
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return HttpResponse(render_to_string("page/problem.html", words), status=status, headers=headers)


answer_bad_request = with_page("bad_request", errors.answer_bad_request)
answer_forbidden = with_page("forbidden", errors.answer_forbidden)
answer_csrf_failure = with_page("csrf", errors.answer_csrf_failure)
answer_not_found = with_page("not_found", errors.answer_not_found)
answer_server_error = with_page("internal", errors.answer_server_error)
