"""`python -m realtime.serve asgi:application`: serves with uvicorn and the engine's limits, and drains before it ends.

On SIGTERM plain uvicorn closes all connections at once, and all clients reconnect at once. This server stops accepting,
drains its connections over `REALTIME_DRAIN_SECONDS`, and then ends as uvicorn does. A second signal ends the drain.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Sequence

import uvicorn
from django.conf import settings as project
from uvicorn.config import LOGGING_CONFIG
from uvicorn.importer import ImportFromStringError, import_from_string

from realtime.redis.server_info import end_if_too_old
from realtime.server.bounded_http import HEAD_SECONDS, http_protocol
from realtime.server.bounded_websocket import BoundedWebSocket, PortableWebSocket
from realtime.server.process_memory import limit_arenas, set_collector
from realtime.server.proxies import DEFAULT as LOOPBACK_PROXIES
from realtime.server.proxies import ProxyAddressError, TrustedProxies, behind_proxies
from realtime.settings import Settings
from realtime.web.drain import drain_process

log = logging.getLogger(__name__)

GRACEFUL_SECONDS = 5
"""How long requests may still be answered after the drain."""
KEEP_ALIVE_SECONDS = 75.0
"""How long an idle connection stays open. Load balancers usually close idle connections after 60 s. The server must
wait longer: if it closes a connection just when the balancer sends a request, the balancer answers 502."""
LISTEN_BACKLOG = 2048


class _Config(uvicorn.Config):
    """uvicorn's configuration, except that `server/proxies.py` reads the headers of proxies."""

    trusted_proxies: TrustedProxies

    def load(self) -> None:
        super().load()
        self.loaded_app = behind_proxies(self.loaded_app, self.trusted_proxies)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, with a drain before its shutdown."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        set_collector()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        drain = asyncio.ensure_future(drain_process())
        signals = len(self._captured_signals)
        while not drain.done() and len(self._captured_signals) == signals:
            await asyncio.wait([drain], timeout=0.1)
        drain.cancel()
        await super().shutdown(sockets)


def listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """Open a listening socket. With `reuse_port` several processes share the port, so that one can replace another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        log.critical("The server cannot listen at %s, port %s: %s.", host, port, problem.strerror)
        sys.exit(1)
    return listening


def server_of(
    application: str,
    *,
    trusted_proxies: TrustedProxies | None = None,
    access_log: bool = False,
    head_seconds: float = HEAD_SECONDS,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    portable: bool = False,
) -> DrainingServer:
    """Return a server for an ASGI application, given as `module:name`.

    With `portable`, open WebSockets and event streams are served through ASGI messages, as other servers do it.
    """
    config = _Config(
        application,
        http=http_protocol(head_seconds, hands_over=not portable),
        ws=PortableWebSocket if portable else BoundedWebSocket,
        # Compression would need 34 KB of memory for each connection. Most records are too small to be worth that.
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the protocol has its own pings, which carry the place
        ws_max_size=65_536,  # a client's frame may have 8 KiB; larger ones are read, so that an error can be sent
        lifespan="off",
        backlog=LISTEN_BACKLOG,
        timeout_keep_alive=keep_alive_seconds,  # type: ignore[arg-type]  # only passed on to `call_later`
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        proxy_headers=False,  # if all peers are trusted, uvicorn would believe an X-Forwarded-For that a client wrote
        access_log=access_log,
        # If the project has set up logging, its handlers also get uvicorn's lines. Otherwise uvicorn adds handlers.
        log_config=None if logging.getLogger().handlers else LOGGING_CONFIG,
    )
    config.trusted_proxies = trusted_proxies or TrustedProxies.parse(LOOPBACK_PROXIES)
    return DrainingServer(config)


def read_trusted_proxies(option: str | None) -> TrustedProxies:
    """Return the proxies that the option names, else those of `FORWARDED_ALLOW_IPS`, else the loopback addresses.

    End the process if the value is wrong.
    """
    name, text = "--forwarded-allow-ips", option
    if text is None:
        name, text = "FORWARDED_ALLOW_IPS", os.environ.get("FORWARDED_ALLOW_IPS") or LOOPBACK_PROXIES
    try:
        return TrustedProxies.parse(text)
    except ProxyAddressError as problem:
        log.critical("%s is wrong: %s.", name, problem)
        sys.exit(1)


def main(words: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m realtime.serve", description=__doc__)
    parser.add_argument("application", help="the ASGI application, as module:name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other processes (SO_REUSEPORT)")
    parser.add_argument(
        "--forwarded-allow-ips",
        help="addresses and networks of proxies whose X-Forwarded-For and -Proto are trusted, separated by commas,"
        f" or * for every peer (FORWARDED_ALLOW_IPS, else {LOOPBACK_PROXIES})",
    )
    parser.add_argument("--access-log", action="store_true")
    parser.add_argument(
        "--head-seconds", type=float, default=HEAD_SECONDS, help="how long the head of a request may take to arrive"
    )
    parser.add_argument(
        "--keep-alive-seconds",
        type=float,
        default=KEEP_ALIVE_SECONDS,
        help="how long an idle connection stays open; it must be longer than in the proxy in front (%(default)g)",
    )
    parser.add_argument(
        "--portable",
        action="store_true",
        help="serve open connections through ASGI messages, as other servers do: several times slower, for comparison",
    )
    given = parser.parse_args(words)
    limit_arenas()
    # Import the application first, because that sets up the project's log. If the import fails, uvicorn tries it again
    # and reports the error.
    with contextlib.suppress(ImportFromStringError):
        import_from_string(given.application)
        if project.configured and (url := Settings.read(project).redis_url):
            end_if_too_old(url)
    trusted_proxies = read_trusted_proxies(given.forwarded_allow_ips)
    listening = listen(given.host, given.port, reuse_port=given.reuse_port)
    server = server_of(
        given.application,
        trusted_proxies=trusted_proxies,
        access_log=given.access_log,
        head_seconds=given.head_seconds,
        keep_alive_seconds=given.keep_alive_seconds,
        portable=given.portable,
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
