"""Makes the OpenAPI document. Only `manage.py` and the first request for the document import this module."""

from typing import Any

from django.urls import get_resolver
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from apps.core.openapi import apply_notes


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the authentication by access token in the document."""

    target_class = "apps.core.authentication.AccessTokenAuthentication"
    match_subclasses = True
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002 - drf-spectacular's signature
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class DocumentGenerator(SchemaGenerator):
    def get_schema(self, *arguments: Any, **options: Any) -> Any:
        """Make the document from all views. Load the URLs first, because the notes are made when views are imported."""
        _ = get_resolver(self.urlconf).url_patterns
        apply_notes()
        return super().get_schema(*arguments, **options)  # type: ignore[no-untyped-call]
