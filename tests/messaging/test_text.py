"""Filling in names: each `{name}` is replaced, and all other braces stay."""

from hypothesis import example, given
from hypothesis import strategies as st

from academy.domain.messages import NAME, fill

pieces = st.lists(st.text().filter(lambda text: NAME not in text), min_size=1)


@given(pieces, st.text())
@example(["", ""], "{name}")
@example(["{", "}"], "김하나")
@example(["{{name", "}}"], "a")
def test_each_placeholder_is_replaced_and_the_rest_is_unchanged(between: list[str], name: str) -> None:
    text = NAME.join(between)
    expected = name.join(text.split(NAME))
    assert fill(text, name) == expected


@given(st.text(), st.text())
def test_each_placeholder_is_filled_exactly_once(text: str, name: str) -> None:
    places = text.count(NAME)
    assert len(fill(text, name)) == len(text) + places * (len(name) - len(NAME))


@given(st.text(alphabet="{}nam e%$0!", max_size=20).filter(lambda text: NAME not in text), st.text())
def test_a_brace_that_is_no_placeholder_is_plain_text(text: str, name: str) -> None:
    assert fill(text, name) == text
