"""Tests of the OpenAPI document."""

import os
import sys

import pytest
from django.core.management import call_command
from django.test import Client

from apps.core import schema
from embedded.group import Servers
from harness.forked import run
from harness.servers import SECRET


def test_the_document_is_valid_and_causes_no_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "accessToken" in capsys.readouterr().out


def test_the_document_is_built_once_and_has_an_etag(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema, "_documents", schema._Documents())
    client = Client()
    first = client.get("/api/v1/schema/")
    assert first.content.startswith(b"openapi: 3.")
    monkeypatch.setattr(schema, "build_documents", None)
    assert client.get("/api/v1/schema/").content == first.content
    assert client.get("/api/v1/schema/", {"format": "json"}).json()["openapi"].startswith("3.")
    assert client.get("/api/v1/schema/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert caplog.records == []


def test_what_makes_the_document_is_not_imported_with_the_views(servers: Servers) -> None:
    code = "import asgi, config.urls, sys; print(*sys.modules)"
    environment = {**os.environ, **servers.environment(), "SECRET_KEY": SECRET}
    done = run([sys.executable, "manage.py", "shell", "--no-imports", "-v", "0", "-c", code], environment)
    imported = done.stdout.split()
    assert "apps.core.schema" in imported, done.stdout
    assert {"drf_spectacular.openapi", "drf_spectacular.generators", "django.test"} & {*imported} == set()
