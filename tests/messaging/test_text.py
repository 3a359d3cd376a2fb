"""Filling in names: each `{name}`, and no other brace."""

from hypothesis import example, given
from hypothesis import strategies as st

from academy.domain.messages import NAME, fill

pieces = st.lists(st.text().filter(lambda text: NAME not in text), min_size=1)


@given(pieces, st.text())
@example(["", ""], "{name}")
@example(["{", "}"], "김하나")
@example(["{{name", "}}"], "a")
def test_the_name_stands_for_each_place_and_everything_else_stays(between: list[str], name: str) -> None:
    text = NAME.join(between)
    expected = name.join(text.split(NAME))
    assert fill(text, name) == expected


@given(st.text(), st.text())
def test_as_many_places_as_there_are_are_filled_and_once_each(text: str, name: str) -> None:
    places = text.count(NAME)
    assert len(fill(text, name)) == len(text) + places * (len(name) - len(NAME))


@given(st.text(alphabet="{}nam e%$0!", max_size=20).filter(lambda text: NAME not in text), st.text())
def test_a_brace_that_is_no_place_for_a_name_is_plain_text(text: str, name: str) -> None:
    assert fill(text, name) == text
