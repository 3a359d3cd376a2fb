"""Tests of which topics a pattern covers. `*` stands for all topics except figures, which have to be named."""

import pytest

from realtime.records.topics import STATS, TopicFilter, is_unlisted


def test_everything_leaves_out_figures() -> None:
    everything = TopicFilter.of(["*"])
    assert everything.matches("job:1")
    assert not everything.matches(STATS)
    assert everything.covers("job:*")
    assert not everything.covers(STATS)
    assert not everything.covers("stats:*")


@pytest.mark.parametrize("patterns", [[STATS], ["*", STATS], ["stats:*"], ["*", "stats:*"]])
def test_figures_are_matched_and_allowed_where_they_are_named(patterns: list[str]) -> None:
    named = TopicFilter.of(patterns)
    assert named.matches(STATS)
    assert named.covers(STATS)
    assert named.matches("job:1") == ("*" in patterns)


def test_only_that_kind_is_unlisted() -> None:
    assert [topic for topic in ("stats:now", "stats:*", "statsx:1", "job:stats", "*") if is_unlisted(topic)] == [
        "stats:now",
        "stats:*",
    ]
