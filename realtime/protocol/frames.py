"""Writes the server's frames of the protocol `realtime.v1`, and parses the client's.

`docs/reference/realtime-protocol.md` describes the frames. Records are sent as the bytes that Redis stores, without
being decoded and encoded again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from realtime.protocol.close_codes import REASONS, CloseCode
from realtime.protocol.place import Place
from realtime.records.errors import BadFrameError, BadTopicError
from realtime.records.topics import MAX_TOPICS, TopicFilter

MAX_FRAME_BYTES = 8192
MAX_ID = 2**53
MAX_SNAPSHOT_BYTES = 262_144
"""A larger snapshot is sent in parts."""


class Frame:
    """One frame of the server. Its bytes or text for each transport are made once for all subscribers."""

    __slots__ = ("_body", "_chunk", "_event", "_message", "_text", "kind", "place")

    def __init__(self, kind: str, body: bytes, place: Place | None = None) -> None:
        self.kind, self._body, self.place = kind, body, place
        self._text: str | None = None
        self._message: bytes | None = None
        self._event: bytes | None = None
        self._chunk: bytes | None = None

    @property
    def body(self) -> bytes:
        """The frame as JSON."""
        return self._body

    @property
    def text(self) -> str:
        """The frame as the text of a WebSocket's message, for a server that makes the message itself."""
        if self._text is None:
            self._text = self.body.decode()
        return self._text

    @property
    def message(self) -> bytes:
        """The frame as a WebSocket's message, ready to be written to the socket."""
        if self._message is None:
            self._message = _message(self.body)
        return self._message

    @property
    def event(self) -> bytes:
        """The frame as a Server-Sent Event (WHATWG HTML, section 9.2.6): one line of data, the place as event id."""
        if self._event is None:
            self._event = _event(self.kind, self.body, self.place)
        return self._event

    @property
    def chunk(self) -> bytes:
        """The frame as a Server-Sent Event in a chunk of HTTP (RFC 9112, section 7.1), ready for the socket."""
        if self._chunk is None:
            self._chunk = _chunk(_event(self.kind, self.body, self.place))
        return self._chunk


class LargeSnapshot(Frame):
    """A snapshot, or a part of one, whose bytes are not stored, but made whenever they are needed.

    It refers to the records that the feed's mirror stores. So a snapshot that waits for a slow client needs almost no
    memory of its own.
    """

    __slots__ = ("_head", "_records")

    def __init__(self, head: bytes, records: Sequence[bytes], place: Place | None) -> None:
        super().__init__("snapshot", b"", place)
        self._head, self._records = head, records

    def __len__(self) -> int:
        commas = max(0, len(self._records) - 1)
        return len(self._head) + sum(map(len, self._records)) + commas + len(_END)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks(len(self)))

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def message(self) -> bytes:
        return _message(self.body)

    @property
    def event(self) -> bytes:
        return _event(self.kind, self.body, self.place)

    @property
    def chunk(self) -> bytes:
        return _chunk(self.event)

    def chunks(self, max_bytes: int = MAX_SNAPSHOT_BYTES) -> Iterator[bytes]:
        """Yield the body in pieces of about `max_bytes`."""
        before = self._head
        for part in _parts(self._records, max_bytes):
            yield before + b",".join(part)
            before = b","
        yield _END


def _message(body: bytes) -> bytes:
    """Return an unmasked text message in one frame (RFC 6455, section 5.2)."""
    size = len(body)
    if size < 126:  # noqa: PLR2004 - the lengths of RFC 6455
        return bytes((0x81, size)) + body
    if size < 65_536:  # noqa: PLR2004
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(kind: str, body: bytes, place: Place | None) -> bytes:
    name = b"event: %s\n" % kind.encode()
    if place is not None:
        name += b"id: %s\n" % str(place).encode()
    # JSON that this engine did not write can have line breaks between its tokens, but not inside a token.
    data = body.translate(_ONE_LINE) if b"\n" in body or b"\r" in body else body
    return name + b"data: " + data + b"\n\n"


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_END = b"]}"


def welcome(connection: str, ping_seconds: float, expires_in: int) -> Frame:
    fields = {"type": "welcome", "connection": connection, "ping_seconds": ping_seconds, "expires_in": expires_in}
    return Frame("welcome", orjson.dumps(fields))


def snapshot(
    place: Place, records: Iterable[bytes], *, recovered: bool, max_bytes: int = MAX_SNAPSHOT_BYTES
) -> list[Frame]:
    """Return the frames of a snapshot: as many parts as it needs. Only the last part has a place."""
    parts = list(_parts(records, max_bytes))
    large = len(parts) > 1 or sum(map(len, parts[0])) > MAX_SNAPSHOT_BYTES
    return [_snapshot_part(None, part, recovered=recovered, large=large) for part in parts[:-1]] + [
        _snapshot_part(place, parts[-1], recovered=recovered, large=large)
    ]


def _parts(records: Iterable[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for record in records:
        if part and size + len(record) > max_bytes:
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record) + 1
    yield part


def _snapshot_part(place: Place | None, records: list[bytes], *, recovered: bool, large: bool) -> Frame:
    head = b'{"type":"snapshot","id":null,%s"recovered":%s,"more":%s,"records":[' % (
        b"" if place is None else b'"place":"%s",' % str(place).encode(),
        b"true" if recovered else b"false",
        b"true" if place is None else b"false",
    )
    if large:
        return LargeSnapshot(head, records, place)
    return Frame("snapshot", head + b",".join(records) + _END, place)


def records(place: Place, bodies: Iterable[bytes]) -> Frame:
    body = b'{"type":"records","place":"%s","records":[%s]}' % (str(place).encode(), b",".join(bodies))
    return Frame("records", body, place)


def ping(place: Place) -> Frame:
    return Frame("ping", b'{"type":"ping","place":"%s"}' % str(place).encode(), place)


def delayed(seconds: float) -> Frame:
    """Return the frame that is sent instead of pings while the feed is delayed, with the length of the delay."""
    return Frame("delayed", orjson.dumps({"type": "delayed", "seconds": round(seconds, 1)}))


def subscribed(request_id: int, place: Place, bodies: Iterable[bytes]) -> Frame:
    head = b'{"type":"subscribed","id":%d,"place":"%s","records":[' % (request_id, str(place).encode())
    return Frame("subscribed", head + b",".join(bodies) + b"]}", place)


def unsubscribed(request_id: int, place: Place) -> Frame:
    body = b'{"type":"unsubscribed","id":%d,"place":"%s"}' % (request_id, str(place).encode())
    return Frame("unsubscribed", body, place)


def refreshed(expires_in: int) -> Frame:
    return Frame("refreshed", orjson.dumps({"type": "refreshed", "expires_in": expires_in}))


def error(request_id: int | None, code: str, message: str) -> Frame:
    return Frame("error", orjson.dumps({"type": "error", "id": request_id, "code": code, "message": message}))


def closing(
    code: CloseCode, retry_after_ms: int | None = None, reason: str | None = None, *, limit: str | None = None
) -> Frame:
    fields: dict[str, Any] = {"type": "closing", "code": int(code), "reason": reason or REASONS[code]}
    if retry_after_ms is not None:
        fields["retry_after_ms"] = retry_after_ms
    if limit is not None:
        fields["limit"] = limit
    return Frame("closing", orjson.dumps(fields))


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class Subscribe:
    id: int
    topics: TopicFilter


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    id: int
    topics: TopicFilter


@dataclass(frozen=True, slots=True)
class Refresh:
    ticket: str


ClientFrame = Pong | Subscribe | Unsubscribe | Refresh
_FIELDS: dict[str, set[str]] = {
    "pong": {"type"},
    "subscribe": {"type", "id", "topics"},
    "unsubscribe": {"type", "id", "topics"},
    "refresh": {"type", "ticket"},
}


def parse_client_frame(text: str | bytes) -> ClientFrame:
    """Parse a frame of the client. Raise BadFrameError if it is not valid; the message says why."""
    size = len(text.encode(errors="surrogatepass")) if isinstance(text, str) else len(text)
    if size > MAX_FRAME_BYTES:
        raise BadFrameError(f"The frame has {size} bytes; {MAX_FRAME_BYTES} are the most.")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadFrameError("The frame is no JSON.") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise BadFrameError('A frame is a JSON object with a "type".')
    kind = frame["type"]
    if kind not in _FIELDS:
        raise BadFrameError(f"{kind[:40]!r} is no frame type: send one of {', '.join(_FIELDS)}.")
    if set(frame) != _FIELDS[kind]:
        wanted = ", ".join(sorted(_FIELDS[kind]))
        raise BadFrameError(f"A {kind} frame has the fields {wanted}, and no others.")
    return _build(kind, frame)


def _build(kind: str, frame: dict[str, Any]) -> ClientFrame:
    if kind == "pong":
        return Pong()
    if kind == "refresh":
        if not isinstance(frame["ticket"], str):
            raise BadFrameError("The ticket of a refresh frame is a string.")
        return Refresh(frame["ticket"])
    return _build_topics(kind, frame)


def _build_topics(kind: str, frame: dict[str, Any]) -> Subscribe | Unsubscribe:
    request_id, topics = frame["id"], frame["topics"]
    if type(request_id) is not int or not 0 <= request_id < MAX_ID:
        raise BadFrameError("The id of a frame is a whole number from 0 on.")
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
        raise BadFrameError("The topics of a frame are a list of at least one string.")
    if len(topics) > MAX_TOPICS:
        raise BadFrameError(f"{len(topics)} topics are too many: a connection may name {MAX_TOPICS}.")
    try:
        chosen = TopicFilter.of(topics)
    except BadTopicError as problem:
        raise BadFrameError(str(problem)) from None
    return Subscribe(request_id, chosen) if kind == "subscribe" else Unsubscribe(request_id, chosen)


def request_id_of(text: str | bytes) -> int | None:
    """Return the id of a frame that was refused, so that the answer can name it; None if the frame has no valid id."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    value = frame.get("id") if isinstance(frame, dict) else None
    return value if type(value) is int and 0 <= value < MAX_ID else None
