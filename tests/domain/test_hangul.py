"""Tests of the search for Hangul: initial consonants, and syllables that are not complete yet."""

import re

import pytest

from academy.domain.hangul import search_pattern


def finds(word: str, text: str) -> bool:
    pattern = search_pattern(word)
    assert pattern is not None
    return re.search(pattern, text) is not None


@pytest.mark.parametrize("word", ["ㄱㅁㅅ", "ㄱㅁ", "ㅁㅅ", "ㅅ", "김ㅁㅅ", "김민ㅅ", "ㄱ민수", "민수", "ᄀᄆᄉ"])
def test_initial_consonants_find_a_name_also_between_syllables(word: str) -> None:
    assert finds(word, "김민수")


@pytest.mark.parametrize("word", ["ㄱㅅ", "ㄲㅁㅅ", "ㄱㅁㅅㅅ", "김ㅅ", "ㄱㅁㅎ", "김만"])
def test_other_consonants_do_not_find_it(word: str) -> None:
    assert not finds(word, "김민수")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["ㄱ", "기", "김", "김ㅁ", "김미", "김민", "김민ㅅ", "김민수"], "김민수"),
        (["ㅇ", "아", "안", "앉", "안지", "안지우"], "안지우"),
        (["ㄱ", "기", "김", "김ㅁ", "김미", "김밋", "김미소"], "김미소"),
    ],
)
def test_every_step_of_typing_a_name_finds_it(typed: list[str], name: str) -> None:
    assert [step for step in typed if not finds(step, name)] == []


@pytest.mark.parametrize(("joined", "name"), [("ㄳ", "강수"), ("ㄳㅎ", "강서현"), ("ㅄ", "박서"), ("ㄶ", "노하")])
def test_consonants_that_an_input_method_joined_are_taken_apart(joined: str, name: str) -> None:
    assert finds(joined, name)


def test_a_doubled_consonant_finds_only_itself() -> None:
    assert finds("ㅆ", "쌍둥이")
    assert not finds("ㅅ", "쌍둥이")


@pytest.mark.parametrize("word", ["", "kim", "010", "%", "ㅏ", "[", "é"])
def test_a_word_without_consonants_or_syllables_has_no_pattern(word: str) -> None:
    assert search_pattern(word) is None


@pytest.mark.parametrize(("word", "text"), [("A반", "a반"), ("b.ㅅ", "B.수"), ("ß가", "ß가"), ("(가)", "(가)")])
def test_other_letters_are_found_in_either_case_and_signs_stand_for_themselves(word: str, text: str) -> None:
    assert finds(word, text)


@pytest.mark.parametrize("sign", [".", "*", "+", "?", "|", "^", "$", "\\", "[", "]", "(", ")", "{", "}", "-"])
def test_no_sign_has_a_meaning_of_its_own(sign: str) -> None:
    assert finds(f"{sign}가", f"{sign}가")
    assert finds(f"가{sign}", f"가{sign}")
    assert not finds(f"가{sign}나", "가나")
    assert not finds(f"가{sign}나", "가x나")
