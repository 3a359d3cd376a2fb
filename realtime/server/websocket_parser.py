"""Parses the WebSocket frames of a client, and writes those of the server (RFC 6455, section 5).

This module does no input and output. It knows no extensions, so the reserved bits of each frame must be 0.
"""

from dataclasses import dataclass

PROTOCOL_ERROR, INVALID_DATA, POLICY_VIOLATION, MESSAGE_TOO_BIG = 1002, 1007, 1008, 1009
"""The close codes of RFC 6455, section 7.4.1, with which a parser refuses frames."""
MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2  # a close frame has a code of two bytes before the reason

_FINAL, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F  # parts of a frame's first byte
_MASKED, _LENGTH = 0x80, 0x7F  # parts of the second byte
_LENGTH_OF_2_BYTES, _LENGTH_OF_8_BYTES = 126, 127  # values of the second byte: where the real length is
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES = frozenset((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
"""The codes that a close frame may have: those of section 7.4 and of IANA's registry, and all from 3000 to 4999."""


@dataclass(slots=True)
class Text:
    """A whole text message."""

    text: str


@dataclass(slots=True)
class Binary:
    """A whole binary message. Its payload is not kept."""

    size: int


@dataclass(slots=True)
class Ping:
    payload: bytes


@dataclass(slots=True)
class Pong:
    payload: bytes


@dataclass(slots=True)
class Close:
    """A close frame. The code is None if the frame has no payload."""

    code: int | None
    reason: str


@dataclass(slots=True)
class Failure:
    """A violation of the protocol or of a limit. The server must close the connection with this code and reason."""

    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Close | Failure


class _FrameError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Message:
    """A message of which some frames have come, but not the last."""

    __slots__ = ("opcode", "parts", "payload", "size")

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode
        self.parts = self.size = 0
        self.payload = bytearray()  # stays empty if the message is binary


class FrameParser:
    """Parses what one client sends, in pieces of any size.

    A frame or message that exceeds a limit is refused as soon as its header shows that. After a `Close` or a `Failure`,
    which is always the last event, the parser ignores all further data.
    """

    __slots__ = ("_ended", "_max_message_bytes", "_max_parts", "_message", "_unread")

    def __init__(self, max_message_bytes: int = 65_536, max_parts: int = 1024) -> None:
        self._max_message_bytes, self._max_parts = max_message_bytes, max_parts
        self._message: _Message | None = None  # None between messages
        self._unread: bytearray | None = None  # the beginning of a frame, None between frames
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether all further data are ignored."""
        return self._ended

    def feed(self, data: bytes) -> list[Event]:
        """Parse data, and return the events that they complete, in order."""
        events: list[Event] = []
        end = 0
        unread = self._unread
        whole: bytes | bytearray = data
        if unread is not None:
            unread += data
            whole = unread
        try:
            while not self._ended and (after := self._read_frame(whole, end, events)):
                end = after
        except _FrameError as problem:
            self._ended = True
            events.append(Failure(problem.code, problem.reason))
        if self._ended:
            self._message = self._unread = None
        elif end == len(whole):
            self._unread = None
        elif unread is None:
            self._unread = bytearray(whole[end:])
        else:
            del unread[:end]
        return events

    def _read_frame(self, data: bytes | bytearray, start: int, events: list[Event]) -> int:
        """Read the frame that begins at `start`. Return where it ends, or 0 if it is not complete."""
        if len(data) - start < 2:  # noqa: PLR2004 - the two bytes that each frame has
            return 0
        first, second = data[start], data[start + 1]
        self._check_first_bytes(first, second)
        length, after = second & _LENGTH, start + 2
        if length >= _LENGTH_OF_2_BYTES:
            after += 2 if length == _LENGTH_OF_2_BYTES else 8
            if len(data) < after:
                return 0
            length = _long_length(data[start + 2 : after])
        opcode = first & _OPCODE
        if opcode < _CLOSE:
            self._check_size(length)
        end = after + 4 + length
        if len(data) < end:
            return 0
        payload = b"" if opcode == _BINARY else _unmask(data[after : after + 4], data[after + 4 : end])
        if opcode >= _CLOSE:
            self._ended = opcode == _CLOSE
            events.append(_control_event(opcode, payload))
        elif event := self._add_part(first, length, payload):
            events.append(event)
        return end

    def _check_first_bytes(self, first: int, second: int) -> None:
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise _FrameError(PROTOCOL_ERROR, "reserved bits must be 0")
        if opcode not in _OPCODES:
            raise _FrameError(PROTOCOL_ERROR, "unknown opcode")
        if not second & _MASKED:
            raise _FrameError(PROTOCOL_ERROR, "a client's frames must be masked")
        if opcode >= _CLOSE:
            _check_control(first, second)
        elif opcode == _CONTINUATION:
            self._check_continuation()
        elif self._message is not None:
            raise _FrameError(PROTOCOL_ERROR, "the message before has not ended")

    def _check_continuation(self) -> None:
        if self._message is None:
            raise _FrameError(PROTOCOL_ERROR, "no message to continue")
        if self._message.parts >= self._max_parts:
            raise _FrameError(POLICY_VIOLATION, "too many parts")

    def _check_size(self, length: int) -> None:
        if self._message is not None:
            length += self._message.size
        if length > self._max_message_bytes:
            raise _FrameError(MESSAGE_TOO_BIG, f"a message has at most {self._max_message_bytes} bytes")

    def _add_part(self, first: int, length: int, payload: bytes) -> Text | Binary | None:
        """Add a data frame to its message. Return the message if this was its last frame."""
        message = self._message
        if message is None:
            if first & _FINAL:
                return Text(_decode(payload)) if first & _OPCODE == _TEXT else Binary(length)
            message = self._message = _Message(first & _OPCODE)
        message.parts += 1
        message.size += length
        if message.opcode == _TEXT:
            message.payload += payload
        if not first & _FINAL:
            return None
        self._message = None
        return Text(_decode(message.payload)) if message.opcode == _TEXT else Binary(message.size)


def _check_control(first: int, second: int) -> None:
    if not first & _FINAL:
        raise _FrameError(PROTOCOL_ERROR, "a control frame must not be fragmented")
    if second & _LENGTH > MAX_CONTROL_BYTES:
        raise _FrameError(PROTOCOL_ERROR, f"a control frame has at most {MAX_CONTROL_BYTES} bytes")


def _long_length(encoded: bytes | bytearray) -> int:
    """Read a length of 2 or 8 bytes."""
    length = int.from_bytes(encoded, "big")
    if length >> 63:
        raise _FrameError(PROTOCOL_ERROR, "the highest bit of a length must be 0")
    if length < _LENGTH_OF_2_BYTES or (len(encoded) > 2 and length < 1 << 16):  # noqa: PLR2004 - the shorter field
        raise _FrameError(PROTOCOL_ERROR, "a length must have as few bytes as possible")
    return length


def _unmask(key: bytes | bytearray, masked: bytes | bytearray) -> bytes:
    length = len(masked)
    repeated = key * (length // 4 + 1)
    return (int.from_bytes(masked, "big") ^ int.from_bytes(repeated[:length], "big")).to_bytes(length, "big")


def _control_event(opcode: int, payload: bytes) -> Ping | Pong | Close:
    if opcode == _PING:
        return Ping(payload)
    if opcode == _PONG:
        return Pong(payload)
    if not payload:
        return Close(None, "")
    if len(payload) == 1:
        raise _FrameError(PROTOCOL_ERROR, "a close code has 2 bytes")
    code, reason = int.from_bytes(payload[:2], "big"), _decode(payload[2:])
    if code not in _CLOSE_CODES:
        raise _FrameError(PROTOCOL_ERROR, "invalid close code")
    return Close(code, reason)


def _decode(payload: bytes | bytearray) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _FrameError(INVALID_DATA, "invalid UTF-8") from None


def text_frame(payload: bytes) -> bytes:
    """Return a frame with a whole text message, which must be UTF-8."""
    length = len(payload)
    if length < _LENGTH_OF_2_BYTES:
        return bytes((_FINAL | _TEXT, length)) + payload
    if length < 1 << 16:
        return bytes((_FINAL | _TEXT, _LENGTH_OF_2_BYTES)) + length.to_bytes(2, "big") + payload
    return bytes((_FINAL | _TEXT, _LENGTH_OF_8_BYTES)) + length.to_bytes(8, "big") + payload


def ping_frame(payload: bytes = b"") -> bytes:
    return _control_frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    return _control_frame(_PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """Return a close frame. Shorten the reason to `MAX_REASON_BYTES`. If the code is None, leave out both."""
    if code is None:
        return _control_frame(_CLOSE, b"")
    whole_characters = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    return _control_frame(_CLOSE, code.to_bytes(2, "big") + whole_characters.encode())


def _control_frame(opcode: int, payload: bytes) -> bytes:
    if len(payload) > MAX_CONTROL_BYTES:
        raise ValueError(f"A control frame has at most {MAX_CONTROL_BYTES} bytes, not {len(payload)}.")
    return bytes((_FINAL | opcode, len(payload))) + payload
