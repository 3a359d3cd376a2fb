"""`GET /metrics` of a web process."""

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from realtime import conf
from realtime.operate.exposition import CONTENT_TYPE, exposition
from realtime.web.origin import LOOPBACK
from realtime.web.refusal_answers import error

HEADERS_OF_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""A request with one of these headers came through a proxy, so it may come from another machine."""


@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics of this process if the request has `REALTIME_METRICS_TOKEN`, else with 401.

    If the setting is empty, only requests from this machine that did not come through a proxy get the metrics.
    """
    if not _may_read_metrics(request):
        return error(401, "token_invalid", "Send Authorization: Bearer <REALTIME_METRICS_TOKEN>.")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _may_read_metrics(request: HttpRequest) -> bool:
    if token := conf.settings().metrics_token:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    came_through_a_proxy = any(name in request.headers for name in HEADERS_OF_PROXIES)
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not came_through_a_proxy
