"""Tests of the `Origin` and `Host` that a request to connect may have. `Origin` names the site of a web page."""

import pytest
from pytest_django.fixtures import Settings

from realtime.records.metrics import counts
from realtime.web.origin import origin_allowed


def scope(host: str = "", **headers: str) -> dict[str, object]:
    named = {"host": host, **headers} if host else headers
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    return {"headers": pairs, "path": "/ws/events/", "client": ("127.0.0.1", 4000), "server": ("10.0.0.1", 8000)}


LOCAL = ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost"]


@pytest.mark.parametrize("host", LOCAL)
def test_a_new_project_may_be_reached_at_this_machine(host: str, settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    assert origin_allowed(scope(host, origin=f"http://{host}"))
    assert origin_allowed(scope(host))
    assert not origin_allowed(scope(host, origin="http://evil.example"))


@pytest.mark.parametrize(("debug", "host"), [(True, "evil.example"), (True, "10.0.0.1:8000"), (False, "localhost")])
def test_other_hosts_are_refused_and_so_is_localhost_without_debug(debug: bool, host: str, settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, []
    before = counts.refusals["host"]
    assert not origin_allowed(scope(host, origin=f"http://{host}"))
    assert counts.refusals["host"] == before + 1


@pytest.mark.parametrize(
    ("scheme", "from_http", "from_https"),
    [("http", True, True), ("ws", True, True), ("https", False, True), ("wss", False, True)],
)
def test_a_page_without_tls_may_not_connect_with_tls(
    scheme: str, from_http: bool, from_https: bool, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["app.example.com"]
    for origin, allowed in (("http://app.example.com", from_http), ("https://app.example.com", from_https)):
        assert origin_allowed(scope("app.example.com", origin=origin) | {"scheme": scheme}) is allowed


def test_a_host_behind_a_proxy_is_read_as_django_reads_it(settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["app.example.com"]
    behind = scope("10.0.0.7:8000", x_forwarded_host="app.example.com", origin="https://app.example.com")
    assert not origin_allowed(behind)
    settings.USE_X_FORWARDED_HOST = True
    assert origin_allowed(behind)


def test_a_request_without_a_host_is_judged_by_the_name_of_the_server(settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["app.example.com"]
    assert not origin_allowed(scope())
    settings.ALLOWED_HOSTS = ["10.0.0.1"]
    assert origin_allowed(scope())


def test_refused_pages_are_counted_by_reason(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["app.example.com"]
    before = counts.refusals["origin"]
    for origin in ("https://evil.example", "null", "http://[", "file://"):
        assert not origin_allowed(scope("app.example.com", origin=origin))
    assert counts.refusals["origin"] == before + 4


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("localhost:443", "https://localhost", True),
        ("localhost:80", "http://localhost", True),
        ("localhost", "https://localhost:443", True),
        ("localhost:443", "http://localhost", False),
        ("localhost:80", "https://localhost", False),
        ("localhost:8443", "https://localhost", False),
        ("[::1]:443", "https://[::1]", True),
        ("LOCALHOST:443", "https://localhost", True),
        ("localhost", "https://localhost@evil.example", False),
        ("localhost", "https://evil@localhost", False),
        ("localhost", "https://localhost/", False),
    ],
)
def test_a_default_port_may_be_written_or_left_out(host: str, origin: str, allowed: bool, settings: Settings) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["localhost", "[::1]"]
    assert origin_allowed(scope(host, origin=origin)) is allowed


def test_an_allowed_origin_may_be_set_with_its_default_port(settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.REALTIME_ALLOWED_ORIGINS = ["localhost"], ["https://app.example.com:443"]
    assert origin_allowed(scope("localhost", origin="https://app.example.com"))
    assert not origin_allowed(scope("localhost", origin="http://app.example.com"))
    assert not origin_allowed(scope("localhost", origin="https://app.example.com:8443"))
