"""Tests that the AsyncAPI document describes the frames that the server sends, and those that it accepts."""

import json
import re
from collections.abc import Iterator
from inspect import getmembers, isfunction
from string import ascii_letters, ascii_lowercase, digits
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from embedded.home import PROJECT
from harness.asyncapi import describes, document, hold, messages_of, resolve
from realtime.protocol import frames
from realtime.protocol.close_codes import REASONS, CloseCode
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.errors import BadFrameError
from realtime.records.record import Progress, Step, draft_record, join_record, unknown_record
from realtime.records.transitions import Status
from realtime.web.routing import EVENTS_PATH, WEBSOCKET_PATH

OFFICIAL = PROJECT / "tests" / "docs" / "asyncapi" / "schema-3.0.0.json"


# The document itself


def test_it_is_an_asyncapi_document_by_the_official_schema() -> None:
    validator = Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document())] == []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of the document, at any depth."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def test_each_reference_leads_somewhere_and_each_component_is_referred_to() -> None:
    references = {found["$ref"] for found in objects(document()) if "$ref" in found}
    for reference in references:
        resolve(reference)
    components = document()["components"]
    made = {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named}
    assert made <= references


def test_every_schema_of_an_object_forbids_what_it_does_not_declare() -> None:
    open_ones = [
        schema
        for schema in objects(document()["components"]["schemas"])
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
    ]
    assert open_ones == [resolve("#/components/schemas/record/properties/data")]
    for schema in objects(document()["components"]["schemas"]):
        assert set(schema.get("required", [])) <= set(schema.get("properties", schema.get("required", [])))


def test_its_addresses_are_the_servers() -> None:
    channels = document()["channels"]
    assert (channels["websocket"]["address"], channels["events"]["address"]) == (WEBSOCKET_PATH, EVENTS_PATH)


def test_it_tells_each_close_code_and_its_reason() -> None:
    told = re.findall(r"^\| (\d{4}) \| ([^|]+) \|", document()["info"]["description"], re.MULTILINE)
    assert told == [(str(int(code)), REASONS[code]) for code in CloseCode]
    assert resolve("#/components/schemas/closing/properties/code/enum") == [int(code) for code in CloseCode]


def test_it_names_each_status() -> None:
    assert set(resolve("#/components/schemas/record/properties/status/enum")) == set(Status.__members__)


# The server's frames

percents = st.floats(0, 100)
kinds = st.text(ascii_lowercase, min_size=1, max_size=16)
names = st.builds("{}:{}".format, kinds, st.text(ascii_letters + digits + "_-", min_size=1, max_size=64))
numbers = st.integers(0, 2**53 - 1)
hexadecimal = st.text("0123456789abcdef", min_size=8, max_size=8)
places = st.builds(Place, hexadecimal, numbers, hexadecimal)
steps = st.builds(Step, numbers, numbers, st.text(max_size=20), percents)
some_progress = st.builds(Progress, percents, st.none() | steps, st.none() | st.floats(0))
texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts


@st.composite
def record_bodies(draw: st.DrawFn) -> bytes:
    draft = draft_record(
        topic=draw(names),
        attempt=draw(st.integers(1, 2**53 - 1)),
        status=draw(st.sampled_from(list(Status))),
        published_at=draw(st.floats(0, 2**33)),
        progress=draw(st.none() | some_progress),
        data=draw(st.dictionaries(texts, scalars, max_size=3)),
        error=draw(st.none() | st.fixed_dictionaries({"code": texts, "message": texts})),
        stalled=draw(st.booleans()),
    )
    return join_record(b'{"offset":%d' % draw(numbers) + draft.text, draft.progress).body


some = st.lists(record_bodies(), min_size=1, max_size=3)
shown = st.lists(record_bodies() | names.map(unknown_record), max_size=4)
error_codes = st.sampled_from(resolve("#/components/schemas/error/properties/code/enum"))
connections = st.text("0123456789abcdef", min_size=16, max_size=16).map("c-{}".format)
BUILT: dict[str, st.SearchStrategy[Frame | list[Frame]]] = {
    "welcome": st.builds(frames.welcome, connections, st.floats(0.1, 3600), st.integers(0, 86_400)),
    "snapshot": st.builds(
        frames.snapshot, places, shown, recovered=st.booleans(), max_bytes=st.sampled_from([1, 500, 262_144])
    ),
    "records": st.builds(frames.records, places, some),
    "ping": st.builds(frames.ping, places),
    "delayed": st.builds(frames.delayed, st.floats(0, 86_400)),
    "subscribed": st.builds(frames.subscribed, numbers, places, shown),
    "unsubscribed": st.builds(frames.unsubscribed, numbers, places),
    "refreshed": st.builds(frames.refreshed, st.integers(0, 86_400)),
    "error": st.builds(frames.error, st.none() | numbers, error_codes, texts),
    "closing": st.builds(
        frames.closing,
        st.sampled_from(CloseCode),
        st.none() | st.integers(0, 60_000),
        st.none() | texts,
        limit=st.sampled_from([None, "user", "tenant", "process"]),
    ),
}


def test_it_has_each_frame_that_the_code_can_write_and_no_other() -> None:
    made_here = {name: made for name, made in getmembers(frames, isfunction) if made.__module__ == frames.__name__}
    writers = {name for name, made in made_here.items() if made.__annotations__["return"] in (Frame, list[Frame])}
    builders = {name for name in writers if not name.startswith("_")}
    assert builders == set(BUILT) == messages_of("pushOverWebSocket")
    assert messages_of("pushAsEvents") < messages_of("pushOverWebSocket")


@pytest.mark.parametrize("kind", BUILT)
@given(data=st.data())
def test_whatever_the_code_writes_is_as_described(kind: str, data: st.DataObject) -> None:
    built = data.draw(BUILT[kind])
    for frame in built if isinstance(built, list) else [built]:
        body = json.loads(frame.body)
        assert frame.kind == body["type"] == kind
        hold(body, "pushOverWebSocket")
        if frame.place is not None:
            assert body["place"] == str(frame.place)


def test_a_frame_with_a_field_more_or_less_is_not_as_described() -> None:
    body = json.loads(frames.ping(Place("a1", 1, "b2")).body)
    assert describes(body, "pushOverWebSocket")
    assert not describes(body | {"more": 1}, "pushOverWebSocket")
    assert not describes({"type": "ping"}, "pushOverWebSocket")


# The client's frames

patterns = names | st.just("*") | kinds.map("{}:*".format)
near_patterns = patterns | st.sampled_from(["", "job:", ":1", "job:1\n", "Job:1", "job:**", "job:１", "*:1"]) | texts
ids = numbers | st.sampled_from([-1, 2**53, 2**53 - 1, 2**64, 1.0, True, None, "1"])
values = scalars | ids | st.lists(near_patterns | ids, max_size=3) | st.dictionaries(texts, scalars, max_size=2)
topic_lists = st.lists(patterns, min_size=1, max_size=4) | st.lists(near_patterns, max_size=3)
long_lists = st.integers(198, 202).map(lambda number: ["a:1"] * number) | st.integers(198, 202).map(
    lambda number: [f"a:{index}" for index in range(number)]
)
good_frames = st.one_of(
    st.just({"type": "pong"}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe"]), "id": ids, "topics": topic_lists | long_lists}
    ),
    st.fixed_dictionaries({"type": st.just("refresh"), "ticket": texts}),
)


@st.composite
def mutated_frames(draw: st.DrawFn) -> Any:
    """Make a frame with a field removed, added or changed."""
    frame: dict[str, Any] = dict(draw(good_frames))
    name = draw(st.sampled_from([*frame, "type", "id", "topics", "ticket"]) | texts)
    if draw(st.booleans()):
        frame.pop(name, None)
    else:
        frame[name] = draw(values | st.sampled_from(["pong", "subscribe", "unsubscribe", "refresh", "ping"]))
    return frame


def accepted(text: bytes) -> bool:
    try:
        frames.parse_client_frame(text)
    except BadFrameError:
        return False
    return True


@given(good_frames | mutated_frames() | values)
@example({"type": "subscribe", "id": 1, "topics": ["a:1"] * 200})
@example({"type": "subscribe", "id": 1, "topics": ["a:1"] * 201})
@example({"type": "subscribe", "id": 2**53, "topics": ["*"]})
@example({"type": "subscribe", "id": 2**53 - 1, "topics": ["*"]})
@example({"type": "unsubscribe", "id": -1, "topics": ["*"]})
@example({"type": "unsubscribe", "id": 1.0, "topics": ["*"]})
@example({"type": "unsubscribe", "id": 1, "topics": ["job:1\n"]})
def test_the_server_takes_what_is_described_and_nothing_else(frame: Any) -> None:
    text = json.dumps(frame).encode()
    assert accepted(text) == describes(orjson.loads(text), "hearOverWebSocket")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_what_is_no_json_is_no_frame(text: bytes) -> None:
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        assert not accepted(text)
    else:
        assert accepted(text) == describes(frame, "hearOverWebSocket")


def test_it_has_each_frame_that_the_code_takes_and_no_other() -> None:
    assert messages_of("hearOverWebSocket") == set(frames._FIELDS)
