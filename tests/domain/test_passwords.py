"""Tests that good passwords are accepted, and that each bad one is refused with the right reason."""

import random
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from academy.domain.passwords import normalised, password_problem

OWN = ("kim.minsu", "김민수", "hanbit", "한빛학원")
COMMON = {"password", "international", "qazwsxedcrfv", "1q2w3e4r5t6y7u8i"}


def code_of(password: str, min_length: int = 15) -> str | None:
    problem = password_problem(password, min_length=min_length, own_words=OWN, common=COMMON)
    return problem.code if problem else None


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "the weather was poor as ever",
        "호랑이 담배 피우던 시절 이야기",
        "2026년 3월 2일 개학식에서 만나요",
        "우리집 강아지는 복슬강아지 어제",
        "aaaaaaaaaaaaa but never twice",
        "no capital, no digit and no sign",
        "김민수는 오늘도 바다로 고기를 잡으러",
        "🐯🚬 호랑이 담배 피우던 🕰️",
        "x7" * 8 + "and something else entirely",
    ],
)
def test_a_long_password_that_nobody_guesses_is_taken(password: str) -> None:
    assert code_of(password) is None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("열네 글자로 된 암호입니다", "password_too_short"),
        ("password12345678", "password_too_common"),
        ("P@ssw0rd!!!!!!!!!", "password_too_common"),
        ("International-2026", "password_too_common"),
        ("1q2w3e4r5t6y7u8i", "password_too_common"),
        ("aaaaaaaaaaaaaaaaaa", "password_too_simple"),
        ("asdfasdfasdfasdf", "password_too_simple"),
        ("passwordpassword", "password_too_simple"),
        ("qwertyuiopasdfgh", "password_too_simple"),
        ("123456789012345", "password_too_simple"),
        ("abcdefghijklmnop", "password_too_simple"),
        ("1qaz2wsx3edc4rfv5tgb", "password_too_simple"),
        ("가나다라마바사아자차카타파하하", "password_too_simple"),
        ("ㅂㅈㄷㄱㅅㅂㅈㄷㄱㅅㅂㅈㄷㄱㅅ", "password_too_simple"),
        ("사랑해사랑해사랑해사랑해사랑해", "password_too_simple"),
        ("tkfkdgotkfkdgo1234", "password_too_simple"),
        ("학원비밀번호학원비밀번호12", "password_too_short"),
        ("학원 비밀번호 학원 비밀번호 12", "password_too_simple"),
        ("hanbit-hanbit-2026!", "password_too_similar"),
        ("김민수 한빛학원 2026년도", "password_too_similar"),
        ("Kim.MinSu.hanbit.7", "password_too_similar"),
    ],
)
def test_every_other_one_is_told_what_is_wrong(password: str, code: str) -> None:
    assert code_of(password) == code


def test_the_sentence_says_what_to_do() -> None:
    problem = password_problem("short", min_length=15)
    assert problem is not None
    assert "at least 15 characters" in problem.message


def test_length_is_that_of_the_spelling_that_is_compared() -> None:
    typed_on_a_mac = unicodedata.normalize("NFD", "열네 글자로 된 암호입니다")
    assert len(typed_on_a_mac) > 15
    assert code_of(typed_on_a_mac) == "password_too_short"


def test_random_passwords_are_taken() -> None:
    dice = random.Random(7)
    letters = string.ascii_letters + string.digits + string.punctuation
    passwords = ["".join(dice.choices(letters, k=15)) for _ in range(5000)]
    refused = [password for password in passwords if code_of(password)]
    assert len(refused) <= 5  # a few random ones may be too simple


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(password: str) -> None:
    code_of(password, 8)
    assert normalised(normalised(password)) == normalised(password)
