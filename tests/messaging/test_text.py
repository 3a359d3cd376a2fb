"""The text of a message: names are filled in, and its size is counted as carriers count it."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from academy.domain.messages import NAME, CostClass, carrier_bytes, cost_class_of, fill, unsendable_letters

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


def test_every_letter_that_text_messages_can_carry_has_the_size_of_its_encoding() -> None:
    letters = [chr(code) for code in range(sys.maxunicode) if not 0xD800 <= code <= 0xDFFF]
    encoded = {letter: letter.encode("cp949", "ignore") for letter in letters}
    assert all(carrier_bytes(letter) == len(code) for letter, code in encoded.items() if code)
    assert unsendable_letters("".join(letters)) == "".join(letter for letter, code in encoded.items() if not code)


@pytest.mark.parametrize(
    ("text", "size", "cost_class"),
    [
        ("", 0, CostClass.SMS),
        ("abc\n", 4, CostClass.SMS),
        ("가나다 abc", 10, CostClass.SMS),
        ("뷁똠", 4, CostClass.SMS),
        ("🎉", 2, CostClass.SMS),
        ("가" * 45, 90, CostClass.SMS),
        ("가" * 45 + "a", 91, CostClass.LMS),
        ("가" * 1000, 2000, CostClass.LMS),
        ("가" * 1000 + "a", 2001, CostClass.TOO_LONG),
    ],
)
def test_the_cost_class_depends_on_the_bytes(text: str, size: int, cost_class: CostClass) -> None:
    assert (carrier_bytes(text), cost_class_of(size)) == (size, cost_class)
