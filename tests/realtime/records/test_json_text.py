"""Tests of encoding values as JSON."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.records.errors import BadRecordError
from realtime.records.json_text import json_text
from realtime.records.record import Progress, Step, draft_record


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, None),
        (-math.inf, None),
        (datetime(2026, 11, 30, 9, tzinfo=UTC), "2026-11-30T09:00:00+00:00"),
        (UUID(int=5), str(UUID(int=5))),
        (Decimal("1.10"), "1.10"),
        (Path("a/b"), "a/b"),
        ({3}, [3]),
        (Colour.RED, "red"),
        ({1: 2, None: 3}, {"1": 2, "null": 3}),
        ("a\0b", "a\ufffdb"),
        ({"a\0": ["\0"]}, {"a\ufffd": ["\ufffd"]}),
        ("\\u0000", "\\u0000"),
        ("\ud800 한", "\ufffd 한"),
    ],
)
def test_each_type_is_encoded_in_one_way(value: object, said: object) -> None:
    assert json.loads(json_text(value)) == said


def test_the_name_of_a_step_is_encoded_in_the_same_way() -> None:
    progress = Progress(5, Step(1, 2, "a\0\ud800"))
    draft = draft_record(topic="job:1", attempt=1, status="PROCESSING", published_at=1.0, progress=progress)
    assert json.loads(draft.progress)["step"]["name"] == "a\ufffd\ufffd"


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        json_text(endless)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.datetimes()
    | st.decimals()
    | st.uuids()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(data=VALUES, error=VALUES, attempt=VALUES, at=VALUES, status=VALUES | st.sampled_from(["DONE", "PENDING"]))
def test_a_record_is_written_as_strict_json_without_nul_or_refused_as_bad(
    data: Any, error: Any, attempt: Any, at: Any, status: Any
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON.")

    for fields in (
        {"data": data, "error": error, "attempt": attempt, "published_at": at, "status": status},
        {"data": {"value": data}, "error": {"value": error}, "attempt": 1, "published_at": 1.0, "status": "DONE"},
    ):
        try:
            draft = draft_record(topic="job:1", **fields)
        except BadRecordError:
            continue
        written = json.loads(b'{"offset":1' + draft.text, parse_constant=refuse)
        assert "\0" not in json.dumps(written, ensure_ascii=False)
