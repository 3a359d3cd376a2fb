"""Tests of the fold of the protocol, in a real browser: which records it keeps after which frames."""

from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# Runs the steps on one Fold. Returns its records as topic → "attempt status offset", the doubtful topics, and what the
# last step returned.
RUN = """async (steps) => {
  const { Fold } = await import("/fold.js");
  const fold = new Fold();
  const told = steps.map(([method, ...given]) => fold[method](...given)).at(-1);
  const stands = [...fold.records].map(([topic, r]) => [topic, `${r.attempt} ${r.status} ${r.offset}`]);
  return { stands: Object.fromEntries(stands), doubtful: fold.doubtful, told };
}"""


def record(topic: str, attempt: int, status: str, offset: int) -> dict[str, Any]:
    return {"topic": topic, "attempt": attempt, "status": status, "offset": offset}


A, B = "job:a", "job:b"
RUNNING = record(A, 1, "PROCESSING", 5)
CASES: dict[str, tuple[list[list[Any]], dict[str, str]]] = {
    "a higher rank replaces": (
        [["apply", [record(A, 1, "PENDING", 1)], "e"], ["apply", [RUNNING], "e"]],
        {A: "1 PROCESSING 5"},
    ),
    "a lower rank of the same attempt does not, not even in a new epoch": (
        [["apply", [record(A, 1, "DONE", 9)], "e"], ["replace", [record(A, 1, "PROCESSING", 2)], "f"]],
        {A: "1 DONE 9"},
    ),
    "a higher attempt replaces even a terminal record": (
        [["apply", [record(A, 1, "FAILED", 9)], "e"], ["apply", [record(A, 2, "PENDING", 10)], "e"]],
        {A: "2 PENDING 10"},
    ),
    "a lower attempt never does": (
        [["apply", [record(A, 2, "PENDING", 10)], "e"], ["apply", [record(A, 1, "DONE", 11)], "e"]],
        {A: "2 PENDING 10"},
    ),
    "of equals the later offset stands, whatever the order of arrival": (
        [["apply", [record(A, 1, "PROCESSING", 7)], "e"], ["apply", [RUNNING], "e"]],
        {A: "1 PROCESSING 7"},
    ),
    "of equals a new epoch stands, though its offsets begin anew": (
        [["apply", [record(A, 1, "PROCESSING", 70)], "e"], ["replace", [record(A, 1, "PROCESSING", 3)], "f"]],
        {A: "1 PROCESSING 3"},
    ),
    "the database tells less than a feed": (
        [["apply", [RUNNING], "e"], ["learn", [record(A, 1, "PROCESSING", 0)]]],
        {A: "1 PROCESSING 5"},
    ),
    "but knows of an end first": (
        [["apply", [RUNNING], "e"], ["learn", [record(A, 1, "DONE", 0)]]],
        {A: "1 DONE 0"},
    ),
    "a status of a later server is no record": ([["apply", [record(A, 1, "constructor", 1)], "e"]], {}),
    "a recovered snapshot drops nothing": (
        [["apply", [RUNNING], "e"], ["apply", [], "e"]],
        {A: "1 PROCESSING 5"},
    ),
    "what is absent from a full snapshot stays until it was asked for": (
        [["apply", [RUNNING], "e"], ["replace", [], "f"]],
        {A: "1 PROCESSING 5"},
    ),
    "and goes when nobody knows it": (
        [["apply", [RUNNING], "e"], ["replace", [], "f"], ["settle", A, None, None]],
        {},
    ),
    "or becomes what the answer says, though that stands lower": (
        [["apply", [RUNNING], "e"], ["replace", [], "f"], ["settle", A, record(A, 1, "PENDING", 0), "f"]],
        {A: "1 PENDING 0"},
    ),
    "a late answer does not drop what the feed has told meanwhile": (
        [
            ["apply", [RUNNING], "e"],
            ["replace", [], "f"],
            ["apply", [record(A, 1, "DONE", 2)], "f"],
            ["settle", A, None, None],
        ],
        {A: "1 DONE 2"},
    ),
    "a terminal record that is absent stays while nobody knows of a later attempt": (
        [
            ["replace", [record(A, 1, "DONE", 9)], "e"],
            ["replace", [], "f"],
            ["settle", A, record(A, 1, "PROCESSING", 0), "f"],
            ["replace", [], "g"],
            ["settle", A, None, None],
        ],
        {A: "1 DONE 9"},
    ),
    "and gives way to one": (
        [
            ["replace", [record(A, 1, "FAILED", 9)], "e"],
            ["replace", [], "f"],
            ["settle", A, record(A, 2, "DONE", 3), "f"],
        ],
        {A: "2 DONE 3"},
    ),
    "a terminal record that is absent is true, and stays": (
        [["apply", [record(A, 1, "DONE", 9), record(B, 1, "CANCELLED", 10)], "e"], ["replace", [], "f"]],
        {A: "1 DONE 9", B: "1 CANCELLED 10"},
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_each_case_leaves_the_expected_record(module_page: Page, name: str) -> None:
    steps, expected = CASES[name]
    assert (await module_page.evaluate(RUN, steps))["stands"] == expected


async def test_unconfirmed_topics_are_asked_for_but_not_an_end_just_read_from_the_database(
    module_page: Page,
) -> None:
    steps = [
        ["apply", [RUNNING, record("job:there", 1, "PENDING", 7)], "e"],
        ["learn", [record(B, 1, "PENDING", 0), record("job:old", 1, "FAILED", 0)]],
        ["replace", [record("job:there", 1, "PENDING", 1)], "f"],
    ]
    assert sorted((await module_page.evaluate(RUN, steps))["doubtful"]) == [A, B]
    assert sorted((await module_page.evaluate(RUN, [*steps, ["replace", [], "g"]]))["doubtful"]) == [
        A,
        B,
        "job:old",
        "job:there",
    ]


async def test_a_dropped_topic_is_reported_as_unknown(module_page: Page) -> None:
    steps = [["apply", [RUNNING], "e"], ["replace", [], "f"], ["settle", A, None, None]]
    assert (await module_page.evaluate(RUN, steps))["told"] == [record(A, 1, "UNKNOWN", 0)]


async def test_of_what_has_ended_the_last_thousand_are_kept_and_what_somebody_watches(module_page: Page) -> None:
    """job:5 came before the thousand jobs and ended after them, so it is kept. Jobs that still run are always kept."""
    forget = """async (frames) => {
      const { Fold } = await import("/fold.js");
      const fold = new Fold();
      for (const records of frames) fold.apply(records, "e");
      return [fold.forget(new Set(["job:7", "job:*"])), [...fold.records.keys()], fold.forget(new Set())];
    }"""
    ended = [record(f"job:{number}", 1, "DONE", number) for number in range(10, 1010)]
    early = [record(f"job:{number}", 1, "PROCESSING", number) for number in range(10)]
    ends = [record(f"job:{number}", 1, "FAILED", 2000 + number) for number in (7, 5)]
    retry = [record("job:10", 2, "PENDING", 3000)]
    gone, kept, later = await module_page.evaluate(forget, [early, ends[:1], ended, ends[1:], retry, retry])
    assert gone == []  # job:5 has ended, and job:10 has begun again
    assert len(kept) == 1010
    assert later == ["job:7"]
    again = [record(f"video:{number}", 1, "READY", 4000 + number) for number in range(3)]
    gone, kept, _ = await module_page.evaluate(forget, [early, ends[:1], ended, ends[1:], retry, again])
    assert gone == ["job:11", "job:12", "job:13"]
    assert {"job:0", "job:5", "job:7", "job:10", "video:2"} <= set(kept)
