"""The frames of `realtime.v1`: how the server's are written, and what the client may send (realtime.md, section 7).

Records travel as the bytes that Redis holds; nothing is decoded or encoded again on the way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from realtime.closing import REASONS, CloseCode
from realtime.errors import BadFrameError, BadTopicError
from realtime.place import Place
from realtime.topics import TopicFilter

MAX_FRAME_BYTES = 8192
MAX_ID = 2**53


def welcome(connection: str, ping_seconds: float, expires_in: int) -> bytes:
    return orjson.dumps(
        {"type": "welcome", "connection": connection, "ping_seconds": ping_seconds, "expires_in": expires_in}
    )


def snapshot(place: Place, records: Iterable[bytes], *, recovered: bool) -> bytes:
    head = b'{"type":"snapshot","id":null,"place":"%s","recovered":%s,"more":false,"records":[' % (
        str(place).encode(),
        b"true" if recovered else b"false",
    )
    return head + b",".join(records) + b"]}"


def records(place: Place, bodies: Iterable[bytes]) -> bytes:
    return b'{"type":"records","place":"%s","records":[%s]}' % (str(place).encode(), b",".join(bodies))


def ping(place: Place) -> bytes:
    return b'{"type":"ping","place":"%s"}' % str(place).encode()


def subscribed(request_id: int, place: Place, bodies: Iterable[bytes]) -> bytes:
    head = b'{"type":"subscribed","id":%d,"place":"%s","records":[' % (request_id, str(place).encode())
    return head + b",".join(bodies) + b"]}"


def unsubscribed(request_id: int, place: Place) -> bytes:
    return b'{"type":"unsubscribed","id":%d,"place":"%s"}' % (request_id, str(place).encode())


def refreshed(expires_in: int) -> bytes:
    return orjson.dumps({"type": "refreshed", "expires_in": expires_in})


def error(request_id: int | None, code: str, message: str) -> bytes:
    return orjson.dumps({"type": "error", "id": request_id, "code": code, "message": message})


def closing(code: CloseCode, retry_after_ms: int | None = None, reason: str | None = None) -> bytes:
    frame: dict[str, Any] = {"type": "closing", "code": int(code), "reason": reason or REASONS[code]}
    if retry_after_ms is not None:
        frame["retry_after_ms"] = retry_after_ms
    return orjson.dumps(frame)


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
    """What the client sent. Raises BadFrameError with a sentence that says what was wrong with it."""
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
    try:
        chosen = TopicFilter.of(topics)
    except BadTopicError as problem:
        raise BadFrameError(str(problem)) from None
    return Subscribe(request_id, chosen) if kind == "subscribe" else Unsubscribe(request_id, chosen)


def request_id_of(text: str | bytes) -> int | None:
    """The id of a frame that was refused, if it had one, so that the answer can name it."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    value = frame.get("id") if isinstance(frame, dict) else None
    return value if type(value) is int and 0 <= value < MAX_ID else None
