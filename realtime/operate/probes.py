"""`GET /healthz` and `GET /readyz`, for balancers and orchestrators."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from realtime.records.errors import FeedUnavailableError
from realtime.web.process import this_process


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Alive."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Ready to take connections. Where it is not, it says in one sentence what fails (`ServerProcess.ready`)."""
    try:
        said = await this_process().ready()
    except FeedUnavailableError as problem:
        return HttpResponse(str(problem), status=503, content_type="text/plain")
    return HttpResponse(said, content_type="text/plain")
