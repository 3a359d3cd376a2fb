"""Tests that only a trusted peer's headers are read, and of which address in them is taken as the client's."""

from typing import Any

import pytest

from realtime.server.proxies import ProxyAddressError, TrustedProxies, behind_proxies

PROXIES = TrustedProxies.parse("10.0.0.0/8, 192.0.2.7,::1, 2001:db8:1::/48")


@pytest.mark.parametrize("peer", ["10.1.2.3", "192.0.2.7", "::1", "2001:db8:1::9", "::ffff:10.0.0.1"])
def test_a_named_address_and_one_of_a_named_network_are_trusted(peer: str) -> None:
    assert PROXIES.trusts(peer)


@pytest.mark.parametrize(
    "peer", ["11.0.0.1", "192.0.2.8", "2001:db8:2::1", "", "unix:", "localhost", "fe80::1%10.0.0.1"]
)
def test_no_other_peer_is_trusted(peer: str) -> None:
    assert not PROXIES.trusts(peer)


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.5", ("203.0.113.5", 0)),
        ("203.0.113.5:4711", ("203.0.113.5", 4711)),
        ("[2001:db8::5]:4711", ("2001:db8::5", 4711)),
        ("[2001:db8::5]", ("2001:db8::5", 0)),
        ("2001:DB8:0::5", ("2001:db8::5", 0)),
        ("::ffff:203.0.113.5", ("203.0.113.5", 0)),
        ("203.0.113.5:99999", ("203.0.113.5", 0)),
        ("203.0.113.5:x", ("203.0.113.5", 0)),
        # The client is the last address that is not a proxy. It may itself have written the addresses before its own.
        ("127.0.0.1, 203.0.113.5", ("203.0.113.5", 0)),
        ("10.9.9.9, 203.0.113.5, 10.0.0.2", ("203.0.113.5", 0)),
        ("::1,203.0.113.5", ("203.0.113.5", 0)),
        # All are proxies, so the first one made the request.
        ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
        # The search from the right ends at an entry that is not an address.
        ("203.0.113.9, unknown, 10.0.0.2", ("10.0.0.2", 0)),
        ("203.0.113.9, _hidden", None),
        ("203.0.113.9, ", None),
        ("", None),
        ("[203.0.113.5", None),
        ("[2001:db8::5]x", None),
        ("fe80::1%eth0", None),
        (",".join(["203.0.113.9"] + ["10.0.0.1"] * 5000), ("10.0.0.1", 0)),
    ],
)
def test_the_client_is_the_last_address_that_is_not_a_proxy(forwarded_for: str, client: tuple[str, int] | None) -> None:
    assert PROXIES.client(forwarded_for) == client


def test_if_every_peer_is_trusted_the_client_is_the_last_address() -> None:
    everybody = TrustedProxies.parse(" * ")
    assert everybody.trusts("203.0.113.1")
    assert everybody.client("198.51.100.1, 127.0.0.1, 203.0.113.5") == ("203.0.113.5", 0)


def test_an_empty_list_trusts_nobody() -> None:
    assert not TrustedProxies.parse("").trusts("127.0.0.1")


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", "*, 10.0.0.1", "10.0.0", "nginx"])
def test_an_entry_that_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ProxyAddressError, match="neither an address nor a network"):
        TrustedProxies.parse(text)


async def seen(kind: str, *headers: tuple[bytes, bytes], peer: str | None = "10.0.0.1") -> tuple[Any, str]:
    """Return the client and the scheme that the application gets."""
    scope: dict[str, Any] = {
        "type": kind,
        "client": peer and (peer, 5000),
        "scheme": "ws" if kind == "websocket" else "http",
        "headers": list(headers),
    }

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        pass

    await behind_proxies(application, PROXIES)(scope, None, None)  # type: ignore[arg-type]
    return scope["client"], scope["scheme"]


FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"


async def test_a_trusted_peer_names_the_client_and_the_scheme() -> None:
    headers = (FOR, b"203.0.113.5"), (PROTO, b"https")
    assert await seen("http", *headers) == (("203.0.113.5", 0), "https")
    assert await seen("websocket", *headers) == (("203.0.113.5", 0), "wss")
    assert await seen("websocket", (PROTO, b"wss")) == (("10.0.0.1", 5000), "wss")


async def test_headers_of_another_peer_are_not_read() -> None:
    headers = (FOR, b"127.0.0.1"), (PROTO, b"https")
    assert await seen("http", *headers, peer="203.0.113.5") == (("203.0.113.5", 5000), "http")
    assert await seen("http", *headers, peer=None) == (None, "http")


async def test_several_headers_are_read_as_one_list() -> None:
    headers = (FOR, b"127.0.0.1"), (FOR, b"203.0.113.5"), (PROTO, b"https"), (PROTO, b"http")
    assert await seen("http", *headers) == (("203.0.113.5", 0), "http")


@pytest.mark.parametrize("value", [b"", b"ftp", b"https,", b"\xff", b"javascript:"])
async def test_an_unknown_scheme_changes_nothing(value: bytes) -> None:
    assert (await seen("http", (PROTO, value)))[1] == "http"


async def test_the_scheme_of_the_nearest_proxy_counts_in_upper_case_too() -> None:
    assert (await seen("http", (PROTO, b"http, HTTPS")))[1] == "https"


async def test_the_host_and_the_port_are_not_taken_from_a_header() -> None:
    headers = (b"x-forwarded-host", b"evil.example"), (b"x-forwarded-port", b"1"), (b"forwarded", b"for=192.0.2.1")
    assert await seen("http", *headers) == (("10.0.0.1", 5000), "http")
