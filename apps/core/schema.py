"""The OpenAPI document. Each process builds it once, at the first request for it."""

import threading
from dataclasses import dataclass
from hashlib import sha256

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    content_type: str
    etag: str


class _Documents:
    """The document as YAML and as JSON."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: dict[str, Document] = {}

    def get(self, form: str) -> Document:
        with self._lock:
            if not self._built:
                self._built = build_documents()
            return self._built[form]


def build_documents() -> dict[str, Document]:
    """Build the document in each form. This imports the code that makes it."""
    from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer  # noqa: PLC0415 - rarely needed

    from apps.core.openapi_generator import DocumentGenerator  # noqa: PLC0415 - rarely needed

    built = {}
    schema = DocumentGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for renderer in (OpenApiYamlRenderer(), OpenApiJsonRenderer()):
        body = renderer.render(schema, renderer_context={})
        etag = f'"{sha256(body).hexdigest()[:20]}"'
        built[renderer.format] = Document(body, renderer.media_type, etag)
    return built


_documents = _Documents()


@require_safe
def schema_view(request: HttpRequest) -> HttpResponseBase:
    """Answer with the document as YAML, or as JSON if the client accepts JSON or asks for `?format=json`."""
    accepts_json = "json" in request.headers.get("Accept", "")
    found = _documents.get("json" if request.GET.get("format") == "json" or accepts_json else "yaml")
    headers = {"ETag": found.etag, "Cache-Control": "no-cache", "Vary": "Accept"}
    response = HttpResponse(found.body, content_type=found.content_type, headers=headers)
    return get_conditional_response(request, etag=found.etag, response=response) or response
