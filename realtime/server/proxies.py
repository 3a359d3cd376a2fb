"""Reads a request's client address and scheme from the headers of trusted proxies.

`X-Forwarded-For` is read from the right, because each proxy appends the address that it saw. The rightmost address that
is not a trusted proxy's is the client's. Addresses to the left of the client's are ignored, because the client itself
may have sent them.

If a chain of proxies left several values of `X-Forwarded-Proto`, the rightmost one counts, because the nearest proxy
wrote it. This module does not read `X-Forwarded-Host`, `X-Forwarded-Port` and `Forwarded`: the proxy must pass on
`Host` unchanged.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

EVERYBODY = "*"
DEFAULT = "127.0.0.1,::1"
MAX_HOPS = 16
"""How many addresses of `X-Forwarded-For` are read. A client can send thousands of them."""
KNOWN_PEERS = 1024
"""For how many addresses a process remembers whether they are those of trusted proxies."""
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class ProxyAddressError(ValueError):
    """An entry of the list of trusted proxies is neither an address nor a network."""


class TrustedProxies:
    """The addresses of proxies whose `X-Forwarded-*` headers are trusted."""

    def __init__(self, networks: tuple[Network, ...], *, everybody: bool = False) -> None:
        self._networks = networks
        self._everybody = everybody
        self.trusts = lru_cache(KNOWN_PEERS)(self._trusts)
        """Returns whether the headers of a connection from this address are trusted."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a list such as `10.0.0.0/8, 192.0.2.7, ::1`, or `*` for every peer.

        Raise ProxyAddressError if an entry is neither an address nor a network.
        """
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        if entries == [EVERYBODY]:
            return cls((), everybody=True)
        return cls(tuple(_network(entry) for entry in entries))

    def _trusts(self, peer: str) -> bool:
        address, _port = parse_hop(peer)
        return self._everybody or (address is not None and self._contain(address))

    def client(self, forwarded_for: str) -> tuple[str, int] | None:
        """Return the client's address and port (0: unknown) in an `X-Forwarded-For` from a trusted peer.

        If every peer is trusted (`*`), only the rightmost entry is read. Otherwise the entries are read from the right,
        up to the first that is not a trusted proxy's. If all entries are trusted proxies', return the leftmost that was
        read. If an entry is not an address, return the address to its right: that of the proxy which wrote the entry.
        Return None if the rightmost entry is not an address.
        """
        found: tuple[str, int] | None = None
        hops = forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:]
        for hop in reversed(hops):
            address, port = parse_hop(hop)
            if address is None:
                return found
            found = str(address), port
            if self._everybody or not self._contain(address):
                return found
        return found

    def _contain(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def parse_hop(text: str) -> tuple[Address | None, int]:
    """Return the address and port (0: none) of `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7` or `[2001:db8::7]:4711`.

    The address is None for any other text. An IPv4 address in the form of an IPv6 one (`::ffff:192.0.2.7`) is returned
    as an IPv4 address.
    """
    host, port = text.strip(), ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or rest[:1] not in {"", ":"}:
            return None, 0
        port = rest[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        address = ip_address(host)
    except ValueError:
        return None, 0
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:  # such an address is valid on one machine only, and any text may follow the %
            return None, 0
        address = address.ipv4_mapped or address
    is_port = port.isascii() and port.isdigit() and len(port) <= 5  # noqa: PLR2004 - digits of 65535
    return address, int(port) if is_port and int(port) <= 65_535 else 0  # noqa: PLR2004


def behind_proxies(application: Application, proxies: TrustedProxies) -> Application:
    """Wrap an ASGI application, so that its scope has the `client` and the `scheme` that a trusted proxy names."""

    async def forwarded(scope: Message, receive: Receive, send: Send) -> None:
        peer = scope.get("client")
        if peer and scope["type"] in {"http", "websocket"} and proxies.trusts(peer[0]):
            _read_headers(scope, proxies)
        await application(scope, receive, send)

    return forwarded


def _read_headers(scope: Message, proxies: TrustedProxies) -> None:
    if (scheme := SCHEMES.get(_joined(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower())) is not None:
        scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
    if (client := proxies.client(_joined(scope, b"x-forwarded-for"))) is not None:
        scope["client"] = client


def _joined(scope: Message, name: bytes) -> str:
    """Return the values of all headers with this name as one list, in their order (RFC 9110, section 5.3)."""
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry)
    except ValueError as problem:
        hint = " (`*` must be the only entry)" if entry == EVERYBODY else ""
        message = f"{entry!r} is neither an address nor a network such as 10.0.0.0/8: {problem}{hint}"
        raise ProxyAddressError(message) from None
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped) is not None:
        return ip_network(f"{mapped}/{max(0, network.prefixlen - 96)}")
    return network
