"""The server to which a judged client connects: tickets, WebSockets, streams of events and polls at loopback ports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from realtime.conformance.frames import filter_of, named, place_of
from realtime.conformance.links import EventsLink, Link, SocketLink
from realtime.protocol.frame_types import Record, RecordsShown

HOST = "127.0.0.1"
SUBPROTOCOL = Subprotocol("realtime.v1")
TICKET_PREFIX = "ticket."
MAX_HEAD_BYTES = 65_536


class Refusal:
    """An answer that refuses a ticket call."""

    def __init__(self, status: int, code: str, retry_after: int | None = None) -> None:
        self.status, self.code, self.retry_after = status, code, retry_after


class Poll:
    """One request of the client for a snapshot."""

    def __init__(self, query: dict[str, str]) -> None:
        self.at = time.monotonic()
        self.topics, self.since = query.get("topics") or "*", query.get("since") or None


class ScriptedServer:
    """The server of one conformance session. The session sets the server's answers and refusals, and uses its links."""

    def __init__(self, noted: Callable[[str], None]) -> None:
        self._noted = noted
        self.links: list[Link] = []
        self.polls: list[Poll] = []
        self.tickets: list[str] = []
        """All tickets that were issued."""
        self.ticket_calls: list[float] = []
        """When a ticket was asked for, in the time of `time.monotonic()`."""
        self.refusals: list[Refusal] = []
        """The answers to the next ticket calls. When there are none left, tickets are issued."""
        self.answers: dict[str, Record] = {}
        """What is known of topics that the client asks for by name."""
        self.socket_refusals: list[float] = []
        """When a WebSocket was refused, because `sockets_blocked` is set."""
        self.sockets_blocked = self.events_buffered = False
        self.polled: tuple[str, int, RecordsShown] | None = None
        """The answer to a poll of all topics: epoch, offset and records. If None, the answer has no records."""
        self.faults: list[str] = []
        self._http: asyncio.Server | None = None
        self._sockets: Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._http = await asyncio.start_server(self._serve_http, HOST, 0, limit=MAX_HEAD_BYTES)
        self._sockets = await serve(
            self._serve_socket,
            HOST,
            0,
            subprotocols=[SUBPROTOCOL],
            process_request=self._admit,
            ping_interval=None,
            compression=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        assert self._sockets is not None
        for stream in self._streams:
            stream.close()
        self._http.close()
        self._sockets.close()
        await self._sockets.wait_closed()

    @property
    def ticket_url(self) -> str:
        return f"{self._address}/ticket/"

    @property
    def _address(self) -> str:
        assert self._http is not None
        return f"http://{HOST}:{self._http.sockets[0].getsockname()[1]}"

    def _ticket(self) -> dict[str, Any]:
        assert self._sockets is not None
        ticket = f"conformance-{len(self.tickets) + 1}"
        self.tickets.append(ticket)
        port = next(iter(self._sockets.sockets)).getsockname()[1]
        return {
            "ticket": ticket,
            "expires_in": 60,
            "websocket_url": f"ws://{HOST}:{port}/ws/events/",
            "events_url": f"{self._address}/api/v1/events/",
            "snapshot_url": f"{self._address}/api/v1/realtime/snapshot/",
            "share": "conformance",
        }

    # WebSockets

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse the handshake if WebSockets are blocked, as a proxy does."""
        if not self.sockets_blocked:
            return None
        self.socket_refusals.append(time.monotonic())
        self._noted("WebSocket refused with HTTP 502")
        return connection.respond(HTTPStatus.BAD_GATEWAY, f"No WebSocket at {urlsplit(request.path).path}.\n")

    async def _serve_socket(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        query = dict(parse_qsl(urlsplit(socket.request.path).query))
        link = SocketLink(socket, query, self.answers, self._noted)
        offered = [word.strip() for word in socket.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        tickets = [word.removeprefix(TICKET_PREFIX) for word in offered if word.startswith(TICKET_PREFIX)]
        link.ticket = tickets[0] if tickets else bearer(socket.request.headers.get("Authorization", ""))
        if SUBPROTOCOL not in offered:
            self.faults.append(f"The client did not offer the subprotocol {SUBPROTOCOL}.")
        self._add(link)
        await link.serve()

    def _add(self, link: Link) -> None:
        if link.ticket not in self.tickets:
            self.faults.append(f"The client opened a {link.kind} without a ticket that was issued.")
        if link.since is not None and not link.since.endswith(f".{filter_of(link.watched)}"):
            self.faults.append(f"The place {link.since} does not fit the topics {link.named}.")
        self.links.append(link)
        self._noted(f"client opens a {link.kind}, topics {link.named[:60]}, since {link.since}")

    # HTTP

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            await reader.readexactly(int(headers.get("content-length") or 0))
            _method, target, _version = head[0].split(" ")
            await self._answer(urlsplit(target).path, dict(parse_qsl(urlsplit(target).query)), headers, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client is gone, or this was no request
        finally:
            self._streams.discard(writer)
            writer.close()

    async def _answer(
        self,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if path == "/ticket/":
            self._answer_ticket(writer)
        elif path == "/api/v1/events/":
            await self._answer_events(query, headers, reader, writer)
        elif path == "/api/v1/realtime/snapshot/":
            self._answer_poll(query, headers, writer)
        else:
            self.faults.append(f"The client asked for {path}, which is in no ticket.")
            write_json(writer, 404, {"code": "not_found", "message": "There is nothing here."})
        await writer.drain()

    def _answer_ticket(self, writer: asyncio.StreamWriter) -> None:
        self.ticket_calls.append(time.monotonic())
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is None:
            self._noted("client gets a ticket")
            write_json(writer, 200, self._ticket())
            return
        self._noted(f"ticket refused with HTTP {refusal.status}")
        more = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        write_json(writer, refusal.status, {"code": refusal.code, "message": "As the session says."}, more)

    def _answer_poll(self, query: dict[str, str], headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        poll = Poll(query)
        if bearer(headers.get("authorization", "")) not in self.tickets:
            self.faults.append("The client polled without a ticket that was issued.")
        self.polls.append(poll)
        self._noted(f"client polls, topics {poll.topics[:60]}, since {poll.since}")
        last = next((link for link in reversed(self.links)), None)
        epoch, offset, records = self.polled or (last.epoch if last else "0", last.offset if last else 0, [])
        topics = poll.topics.split(",")
        place = place_of(epoch, offset, topics)
        recovered = poll.since == place
        shown = named(self.answers, topics) if poll.topics != "*" else [] if recovered else records
        frame = {
            "type": "snapshot",
            "id": None,
            "place": place,
            "recovered": recovered,
            "more": False,
            "records": shown,
        }
        write_json(writer, 200, frame)

    async def _answer_events(
        self,
        query: dict[str, str],
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        since = headers.get("last-event-id") or query.get("since", "")
        link = EventsLink(writer, {**query, "since": since}, self.answers, self._noted)
        link.ticket = bearer(headers.get("authorization", ""))
        write_head(writer, 200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        if self.events_buffered:
            self._noted("client opens a stream of events, of which a proxy passes nothing on")
        else:
            writer.write(b"retry: 2000\n\n")
            self._add(link)
        await reader.read()  # until the client closes, or this server does
        link.has_ended()


def bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def write_head(writer: asyncio.StreamWriter, status: int, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
    writer.write("\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode())


def write_json(
    writer: asyncio.StreamWriter, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    text = json.dumps(body).encode()
    more = {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}
    write_head(writer, status, more)
    writer.write(text)
