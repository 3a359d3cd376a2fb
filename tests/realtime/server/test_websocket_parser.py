"""Tests of parsing and writing WebSocket frames. The library websockets is the oracle."""

import sys
from itertools import pairwise, zip_longest
from random import Random
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close as LibraryClose
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from harness.raw_websocket import BINARY, CONTINUATION, PING, PONG, TEXT, client_frame
from realtime.server.websocket_parser import (
    Binary,
    Close,
    Event,
    Failure,
    FrameParser,
    Ping,
    Pong,
    Text,
    close_frame,
    ping_frame,
    pong_frame,
    text_frame,
)

LIMIT = 300
"""The most bytes of a message in tests: small, so that generated messages often exceed it."""
SHORTEST_LENGTH = "a length must have as few bytes as possible"
CONTROL_LENGTH = "a control frame has at most 125 bytes"


def parsed(parser: FrameParser, *pieces: bytes) -> list[Event]:
    return [event for piece in pieces for event in parser.feed(piece)]


def parse(*pieces: bytes) -> list[Event]:
    return parsed(FrameParser(), *pieces)


class Oracle:
    """The server's side of the library websockets. It yields the events that a `FrameParser` should yield."""

    def __init__(self, limit: int) -> None:
        self.protocol = opened(ServerProtocol(max_size=limit))
        self.events: list[Event] = []
        self._frames: list[Frame] = []

    def feed(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for frame in self.protocol.events_received():
            if not self.ended:
                self._translate(frame)
        if self.protocol.parser_exc is not None and not self.ended:
            failure = self.protocol.close_sent
            assert failure is not None
            self.events.append(Failure(int(failure.code), failure.reason))

    @property
    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Close | Failure)

    def _translate(self, frame: Frame) -> None:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.PING:
                self.events.append(Ping(data))
            case Opcode.PONG:
                self.events.append(Pong(data))
            case Opcode.CLOSE:
                said = LibraryClose.parse(data)
                self.events.append(Close(int(said.code) if data else None, said.reason))
            case _:
                self._frames.append(frame)
                if frame.fin:
                    self._finish_message()

    def _finish_message(self) -> None:
        payload = b"".join(bytes(frame.data) for frame in self._frames)
        opcode, self._frames = self._frames[0].opcode, []
        if opcode is Opcode.BINARY:
            self.events.append(Binary(len(payload)))
            return
        try:
            self.events.append(Text(payload.decode()))
        except UnicodeDecodeError:
            self.events.append(Failure(1007, "invalid UTF-8"))


def opened(protocol: Any) -> Any:
    """Return a protocol of the library as it is after the handshake."""
    protocol.state = State.OPEN
    protocol.parser = Protocol.parse(protocol)
    next(protocol.parser)
    return protocol


def split(data: bytes, places: list[int]) -> list[bytes]:
    """Split data at these places, each taken modulo the number of places that there are."""
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(cuts)]


controls = st.one_of(
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.tuples(st.sampled_from([PING, PONG]), st.binary(min_size=125, max_size=125)),
)
closes = st.one_of(
    st.just(b""),
    st.builds(
        lambda code, reason: code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode(),
        st.sampled_from([1000, 1001, 1003, 1007, 1014, 3000, 4401, 4999]),
        st.text(),
    ),
)


@st.composite
def valid_messages(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """Draw one message in parts, with control frames between them, and the events that it must give."""
    opcode = draw(st.sampled_from([TEXT, TEXT, BINARY]))
    payload = draw(st.text(max_size=75)).encode() if opcode == TEXT else draw(st.binary(max_size=LIMIT))
    parts = split(payload, draw(st.lists(st.integers(0, LIMIT), max_size=3))) or [b""]
    stream, events = b"", list[Event]()
    for number, part in enumerate(parts):
        final = number == len(parts) - 1
        for control, data in draw(st.lists(controls, max_size=2)):
            stream += client_frame(0x80 | control, data)
            events.append(Ping(data) if control == PING else Pong(data))
        stream += client_frame((0x80 if final else 0) | (CONTINUATION if number else opcode), part)
    events.append(Text(payload.decode()) if opcode == TEXT else Binary(len(payload)))
    return stream, events


@st.composite
def any_frames(draw: st.DrawFn) -> bytes:
    """Draw a frame of any kind. Most are valid, or have one fault."""
    first = draw(st.sampled_from([0x80, 0x80, 0x80, 0x00])) | draw(st.sampled_from([0, 1, 1, 2, 8, 9, 10, 3, 11, 15]))
    reserved = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 0x10, 0x20, 0x40]))
    length = draw(st.one_of(st.integers(0, 20), st.sampled_from([125, 126, 127, LIMIT - 1, LIMIT, LIMIT + 1, 65_536])))
    payload = draw(st.one_of(closes, st.just(b"a" * length), st.just(b"\xff" * length), st.just(bytes(length))))
    fitting = [0, 2, 8] if len(payload) < 126 else [2, 8] if len(payload) < 65_536 else [8]
    field = draw(st.sampled_from([None, None, None, None, *fitting]))
    return client_frame(first | reserved, payload, field, masked=draw(st.sampled_from([True] * 9 + [False])))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw what a client may send: valid messages, frames with faults, and changes at any byte."""
    pieces = draw(st.lists(st.one_of(valid_messages().map(lambda drawn: drawn[0]), any_frames()), max_size=6))
    stream = bytearray(b"".join(pieces))
    for place, change, byte in draw(
        st.lists(st.tuples(st.integers(0, 2000), st.sampled_from("=+-"), st.integers(0, 255)), max_size=2)
    ):
        at = place % (len(stream) + 1)
        stream[at : at + (change != "+")] = b"" if change == "-" else bytes([byte])
    return bytes(stream)


def excused(ours: Event | None, theirs: Event | None) -> str | None:
    """Return why the two may differ at this event, or None if they must not."""
    match ours, theirs:
        case Failure(1002, reason), _ if reason in {SHORTEST_LENGTH, CONTROL_LENGTH}:
            return "the library accepts lengths that are longer than necessary, which section 5.2 forbids"
        case Failure(1002), Failure(1009):
            return "a frame breaks two rules, of which the library checks the size first"
        case ((Ping() | Pong() | Close()), Failure(1009)):
            return "the library counts a control frame inside a message against the message's size"
        case Close(), Failure(1002, "incomplete fragmented message"):
            return "the library accepts no close frame inside a message, but section 5.4 allows any control frame there"
    return None


@given(streams(), st.lists(st.integers(0, 2000), max_size=12))
def test_any_bytes_give_the_same_events_as_the_library_websockets(stream: bytes, places: list[int]) -> None:
    ours = parsed(FrameParser(LIMIT), *split(stream, places))
    oracle = Oracle(LIMIT)
    oracle.feed(stream)
    if ours and isinstance(ours[-1], Failure):
        for _ in range(LIMIT + 14):  # the library refuses most frames only when they are complete
            if not oracle.ended and len(oracle.events) < len(ours):
                oracle.feed(b"\0")
    for our, their in zip_longest(ours, oracle.events):
        if isinstance(our, Failure) and isinstance(their, Failure) and our.code == their.code:
            event(f"both fail with {our.code}: {our.reason}")
            return
        if our != their:
            reason = excused(our, their)
            assert reason is not None, f"{ours} differ from {oracle.events} at {our} and {their}"
            event(reason)
            return
    event("the same events")


@given(st.lists(valid_messages(), max_size=5), st.one_of(st.none(), closes), st.lists(st.integers(0, 2000)))
def test_valid_messages_are_read_however_they_are_split(
    messages: list[tuple[bytes, list[Event]]], close: bytes | None, places: list[int]
) -> None:
    stream = b"".join(message for message, _ in messages)
    events = [event for _, events in messages for event in events]
    if close is not None:
        stream += client_frame(0x88, close) + b"ignored"
        events.append(Close(int.from_bytes(close[:2], "big") if close else None, close[2:].decode()))
    assert parsed(FrameParser(LIMIT), *split(stream, places)) == events


def test_each_length_and_each_position_of_the_mask_is_read() -> None:
    text = "".join(Random(1).choices("abcdefghij", k=65_536))
    for size in [*range(10), 124, 125, 126, 127, 128, 65_535, 65_536]:
        assert parse(client_frame(0x81, text[:size].encode())) == [Text(text[:size])]


def test_a_message_of_the_greatest_size_is_read_byte_by_byte() -> None:
    stream = client_frame(0x81, b"a" * 65_536)
    assert parse(*(bytes([byte]) for byte in stream)) == [Text("a" * 65_536)]


def header(first: int, second: int, length: bytes = b"") -> bytes:
    return bytes((first, second)) + length


@pytest.mark.parametrize(
    ("beginning", "code", "reason"),
    [
        (header(0xC1, 0x80), 1002, "reserved bits must be 0"),
        (header(0xA1, 0x80), 1002, "reserved bits must be 0"),
        (header(0x91, 0x80), 1002, "reserved bits must be 0"),
        *((header(0x80 | opcode, 0x80), 1002, "unknown opcode") for opcode in (*range(3, 8), *range(11, 16))),
        (header(0x81, 0x05), 1002, "a client's frames must be masked"),
        (header(0x89, 0x00), 1002, "a client's frames must be masked"),
        (header(0x08, 0x80), 1002, "a control frame must not be fragmented"),
        (header(0x09, 0x80), 1002, "a control frame must not be fragmented"),
        (header(0x0A, 0x80), 1002, "a control frame must not be fragmented"),
        (header(0x88, 0xFE), 1002, CONTROL_LENGTH),
        (header(0x89, 0xFE), 1002, CONTROL_LENGTH),
        (header(0x8A, 0xFF), 1002, CONTROL_LENGTH),
        (header(0x80, 0x80), 1002, "no message to continue"),
        (header(0x00, 0x80), 1002, "no message to continue"),
        (client_frame(0x01) + header(0x81, 0x80), 1002, "the message before has not ended"),
        (client_frame(0x02) + header(0x01, 0x80), 1002, "the message before has not ended"),
        (header(0x81, 0xFE, b"\x00\x7d"), 1002, SHORTEST_LENGTH),
        (header(0x81, 0xFF, b"\x00" * 6 + b"\xff\xff"), 1002, SHORTEST_LENGTH),
        (header(0x81, 0xFF, b"\x80" + b"\x00" * 7), 1002, "the highest bit of a length must be 0"),
        (header(0x81, 0xFF, b"\x00" * 5 + b"\x01\x00\x01"), 1009, "a message has at most 65536 bytes"),
        (header(0x82, 0xFF, b"\x7f" + b"\xff" * 7), 1009, "a message has at most 65536 bytes"),
        (
            client_frame(0x01, bytes(65_000)) + header(0x80, 0xFE, b"\x02\x19"),
            1009,
            "a message has at most 65536 bytes",
        ),
        (
            client_frame(0x02, bytes(65_000)) + header(0x00, 0xFE, b"\x02\x19"),
            1009,
            "a message has at most 65536 bytes",
        ),
    ],
)
def test_a_frame_is_refused_by_its_header_alone(beginning: bytes, code: int, reason: str) -> None:
    assert parse(*(bytes([byte]) for byte in beginning[:-1])) == []
    assert parse(beginning) == [Failure(code, reason)]


@pytest.mark.parametrize(
    ("payload", "failure"),
    [
        (b"\x03", Failure(1002, "a close code has 2 bytes")),
        *(
            (code.to_bytes(2, "big"), Failure(1002, "invalid close code"))
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
        ),
        (b"\x03\xe8\xc3", Failure(1007, "invalid UTF-8")),
    ],
)
def test_an_invalid_close_frame_is_refused(payload: bytes, failure: Failure) -> None:
    assert parse(client_frame(0x88, payload)) == [failure]


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_valid_close_frame_is_read(code: int) -> None:
    assert parse(client_frame(0x88, code.to_bytes(2, "big") + "끝".encode())) == [Close(code, "끝")]


@pytest.mark.parametrize("text", [b"\x80", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"a\xfe"])
def test_a_message_that_is_not_utf_8_is_refused(text: bytes) -> None:
    failure = Failure(1007, "invalid UTF-8")
    assert parse(client_frame(0x81, text)) == [failure]
    assert parse(client_frame(0x01, text[:1]), client_frame(0x80, text[1:])) == [failure]
    assert parse(client_frame(0x82, text)) == [Binary(len(text))]


def test_a_message_of_too_many_parts_is_refused() -> None:
    first, more, last = client_frame(0x01), client_frame(0x00), client_frame(0x80)
    assert parse(first + more * 1022 + last) == [Text("")]
    assert parse(first + more * 1023 + last) == [Failure(1008, "too many parts")]
    assert parsed(FrameParser(max_parts=2), (first + last) * 5 + first + more * 2) == [
        *[Text("")] * 5,
        Failure(1008, "too many parts"),
    ]


def test_control_frames_inside_a_message_do_not_count_as_its_bytes() -> None:
    parser = FrameParser(max_message_bytes=10)
    stream = client_frame(0x01, b"0123456789") + client_frame(0x89, b"p" * 125) + client_frame(0x80)
    assert parsed(parser, stream) == [Ping(b"p" * 125), Text("0123456789")]
    assert parsed(parser, client_frame(0x01, b"a") + client_frame(0x88, b"\x03\xe9")) == [Close(1001, "")]


def test_the_events_before_a_failure_are_kept_and_nothing_follows_it() -> None:
    parser = FrameParser()
    stream = client_frame(0x81, b"a") + client_frame(0x89, b"b") + client_frame(0x83) + client_frame(0x81, b"c")
    assert parsed(parser, stream) == [Text("a"), Ping(b"b"), Failure(1002, "unknown opcode")]
    assert parsed(parser, client_frame(0x81, b"d"), b"\xff") == []


def test_a_parser_keeps_no_buffer_between_frames() -> None:
    parser = FrameParser()
    parts = [client_frame(0x01, b"a" * 1000)[:500], client_frame(0x01, b"a" * 1000)[500:], client_frame(0x80)]
    assert parsed(parser, *parts) == [Text("a" * 1000)]
    assert (parser._unread, parser._message) == (None, None)
    assert sys.getsizeof(parser) <= 72
    assert not hasattr(parser, "__dict__")


def test_a_parser_keeps_neither_the_payload_of_a_binary_message_nor_anything_after_its_end() -> None:
    parser = FrameParser()
    parsed(parser, client_frame(BINARY, b"a" * 1000), client_frame(CONTINUATION, b"a" * 1000))
    assert getattr(parser._message, "payload", None) == b""
    parsed(parser, client_frame(0x80, b"a" * 1000)[:500], b"b" * 1000, b"c" * 1000)
    assert parser._ended
    assert (parser._unread, parser._message) == (None, None)


class Client:
    """The client's side of the library websockets."""

    def __init__(self) -> None:
        self.protocol = opened(ClientProtocol(parse_uri("ws://localhost/"), max_size=None))

    def read(self, data: bytes) -> list[Frame]:
        self.protocol.receive_data(data)
        assert self.protocol.parser_exc is None
        frames: list[Frame] = self.protocol.events_received()
        return frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_client_reads_the_text_frames_of_each_length(size: int) -> None:
    payload = b"a" * size
    assert Client().read(text_frame(payload)) == [Frame(Opcode.TEXT, payload)]


@given(st.text(), st.binary(max_size=125))
def test_a_client_reads_text_pings_and_pongs(text: str, payload: bytes) -> None:
    stream = text_frame(text.encode()) + ping_frame(payload) + pong_frame(payload) + ping_frame()
    assert Client().read(stream) == [
        Frame(Opcode.TEXT, text.encode()),
        Frame(Opcode.PING, payload),
        Frame(Opcode.PONG, payload),
        Frame(Opcode.PING, b""),
    ]


@given(st.sampled_from([1000, 1002, 1012, 3000, 4401]), st.text(max_size=300))
def test_a_client_reads_as_much_of_a_close_reason_as_fits(code: int, reason: str) -> None:
    client = Client()
    client.read(close_frame(code, reason))
    received = client.protocol.close_rcvd
    assert received.code == code
    assert reason.startswith(received.reason)
    rest = reason[len(received.reason) :]
    assert not rest or len(received.reason.encode()) + len(rest[0].encode()) > 123


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert close_frame(None) == b"\x88\x00"


@pytest.mark.parametrize("write", [ping_frame, pong_frame])
def test_a_control_frame_that_is_too_long_is_not_written(write: Any) -> None:
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        write(bytes(126))
