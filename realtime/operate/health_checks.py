"""`GET /healthz` and `GET /readyz`, for load balancers and orchestrators."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from realtime.records.errors import FeedUnavailableError
from realtime.web.process_state import this_process


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Answer "ok": a process that can answer is alive."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Answer 200 if the process can accept connections, else 503 with a sentence that says what fails."""
    try:
        state = await this_process().ready()
    except FeedUnavailableError as problem:
        return HttpResponse(str(problem), status=503, content_type="text/plain")
    return HttpResponse(state, content_type="text/plain")
