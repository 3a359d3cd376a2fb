"""The page at `/`: one template without data; its modules ask the API as any other client does."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

# Nothing inline and nothing foreign. `ws:` and `wss:` are open because the ticket names the address of the push engine,
# which an installation may have on another host than its pages. `blob:` is how a script plays HLS where the browser
# itself cannot.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    response = render(request, "page/index.html")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response
