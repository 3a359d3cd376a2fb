"""Tests of the encoding of text messages (RFC 6455, sections 5.6 and 8.1)."""

import json
from collections.abc import Callable

import pytest

from harness.raw_websocket import RawWebSocket, fragments, text_message

Chop = Callable[[list[bytes]], list[bytes]]
GREEK = "κόσμε"
NOT_UTF_8 = {
    "a stray continuation byte": b"\x80",
    "an unfinished character": b"\xce",
    "an unfinished character of 3 bytes": b"\xe2\x82",
    "an unfinished character of 4 bytes": b"\xf0\x9f\x98",
    "a character that the next one interrupts": b"\xe2\x82a",
    "an overlong slash": b"\xc0\xaf",
    "an overlong slash of 3 bytes": b"\xe0\x80\xaf",
    "an overlong slash of 4 bytes": b"\xf0\x80\x80\xaf",
    "an overlong zero": b"\xc0\x80",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "the character after the last": b"\xf4\x90\x80\x80",
    "a character of 5 bytes": b"\xf8\x88\x80\x80\x80",
    "a character of 6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "the byte FE": b"\xfe",
    "the byte FF": b"\xff",
    "Autobahn's own example": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
}


def echoed(topic: str) -> str:
    """Return how the engine's answer quotes a topic that is none."""
    return f"{topic!r} is no topic: write kind:id, kind:* or *."


def request(topic: str) -> bytes:
    return json.dumps({"type": "subscribe", "id": 7, "topics": [topic]}, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["Hello-µ@ßöäüàá-UTF-8!!", GREEK, "가나다라", "😀👩‍🏫", "ﷺ"])
async def test_text_arrives_as_it_was_sent(client: RawWebSocket, text: str, chopped: Chop) -> None:
    """Section 5.6. Autobahn 6.2.1, 6.5."""
    await client.send(*chopped([text_message(request(text))]))
    assert (await client.answer())["message"] == echoed(text)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_character_may_be_divided_between_frames(client: RawWebSocket, size: int) -> None:
    """Section 5.6: a frame of a message may end inside a character. Autobahn 6.2.2 to 6.2.4."""
    text = f"Hello-µ@ßöäüàá-{GREEK}-😀"
    await client.send(*fragments(request(text), size))
    assert (await client.answer())["message"] == echoed(text)


@pytest.mark.parametrize(
    "character",
    [
        *("\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff"),
        *("\ufdd0", "\ufffe", "\U0001fffe", "\U0001ffff", "\U0010fffe"),
    ],
)
async def test_the_first_and_last_characters_of_each_length_and_noncharacters_are_valid(
    client: RawWebSocket, character: str
) -> None:
    """Section 8.1: valid is what RFC 3629 says. Autobahn 6.6 to 6.9, 6.11, 6.22 and 6.23."""
    await client.send(text_message(request(character)))
    assert (await client.answer())["message"] == echoed(character)


@pytest.mark.parametrize("wrong", NOT_UTF_8.values(), ids=NOT_UTF_8)
async def test_a_text_message_that_is_not_utf_8_fails_the_connection(client: RawWebSocket, wrong: bytes) -> None:
    """Section 8.1. Autobahn 6.3.1, 6.8, 6.10, 6.12 to 6.21."""
    await client.send(text_message(request(GREEK) + wrong))
    await client.failed(1007)


@pytest.mark.parametrize("wrong", NOT_UTF_8.values(), ids=NOT_UTF_8)
@pytest.mark.parametrize("size", [1, 20])
async def test_a_text_message_in_frames_that_is_not_utf_8_fails_the_connection(
    client: RawWebSocket, wrong: bytes, size: int
) -> None:
    """Section 8.1: at the end of the message, or as soon as the text cannot become valid. Autobahn 6.3.2 and 6.4."""
    await client.send(b"".join(fragments(GREEK.encode() + wrong + b" " * 20, size)))
    await client.failed(1007)
