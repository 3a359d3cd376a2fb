"""Which passwords are accepted (NIST SP 800-63B, revision 4, section 3.1.1.2), and how they are normalised.

A password has to be long and hard to guess. No rule asks for capitals, digits or punctuation. Every character of
Unicode is allowed, and nothing is truncated.
"""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

MIN_UNEXPECTED = 6
"""How many characters must remain of a password after repetitions, neighbouring keys and `SERVICE_WORDS` are
removed."""
MIN_OWN = 8
"""Like `MIN_UNEXPECTED`, for a password with names of the account or its academy: these names are removed too."""
MIN_WORD = 2
"""A part of a name with fewer characters is not searched for in the password."""
SERVICE_WORDS = (
    *("academy", "hakwon", "hagwon", "student", "teacher", "parent", "owner", "staff", "admin", "login", "welcome"),
    *("password", "passw0rd", "passwd", "qwerty", "iloveyou", "letmein", "korea", "seoul", "default", "changeme"),
    *("비밀번호", "패스워드", "암호", "학원", "학생", "선생님", "선생", "원장", "학부모", "관리자", "로그인"),
    *("사랑해", "안녕하세요", "대한민국", "화이팅", "파이팅"),
    # Most of the Korean words above, as typed on a keyboard that is set to English.
    *("qlalfqjsgh", "votmdnjem", "gkrdnjs", "gkrtod", "tjstodsla", "dnjswkd", "rhksflwk", "fhrmdls"),
    *("tkfkdgo", "dkssudgktpdy", "eogksalsrnr", "ghkdlxld", "vkdlxld"),
)
"""Words of this service, and words that people in Korea often use in passwords."""
_KEYS = (
    "`1234567890-=",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
)
_ROWS = (
    *_KEYS,
    *("ㅂㅈㄷㄱㅅ", "ㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎ", "ㅗㅓㅏㅣ", "ㅋㅌㅊㅍ", "ㅠㅜㅡ"),
    "abcdefghijklmnopqrstuvwxyz",
    "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "가나다라마바사아자차카타파하",
)
_LEET = str.maketrans("4@310$57!", "aaeiossti")


def normalised(password: str) -> str:
    """Return the password in the form that is hashed and compared (Unicode NFKC).

    Devices may send the same Hangul or accented letter in different forms: a Mac decomposed, a phone composed.
    """
    return unicodedata.normalize("NFKC", password)


def _neighbours() -> frozenset[tuple[str, str]]:
    """Return the pairs of characters that are neighbours in an alphabet or on the keyboard."""
    found = {pair for row in _ROWS for pair in pairwise(normalised(row))} | {("9", "0"), ("0", "1")}
    for upper, lower in pairwise(
        (_KEYS[0][1:], *_KEYS[1:])
    ):  # each row of keys begins half a key to the right of the row above
        found |= set(zip(upper, lower, strict=False)) | set(zip(upper[1:], lower, strict=False))
    return frozenset(found | {(second, first) for first, second in found})


NEIGHBOURS = _neighbours()


@dataclass(frozen=True, slots=True)
class PasswordProblem:
    """Why a password is not accepted: a code for programs, and a message that says what to do."""

    code: str
    message: str


def password_problem(
    password: str, *, min_length: int, own_words: Iterable[str] = (), common: Collection[str] = ()
) -> PasswordProblem | None:
    """Return what is wrong with a new password, or None if nothing is.

    `own_words` are the names of the account and its academy. `common` are frequent passwords, in lower case.
    """
    password = normalised(password)
    if len(password) < min_length:
        return PasswordProblem(
            "password_too_short",
            f"The password is too short: use at least {min_length} characters, for example a sentence of your own. "
            "Spaces and the letters of every language count.",
        )
    text = password.casefold()
    if _is_common(text, common):
        return PasswordProblem(
            "password_too_common", "This password is one of those that are tried first: choose another one."
        )
    if _unexpected(_without(text, SERVICE_WORDS)) < MIN_UNEXPECTED:
        return PasswordProblem(
            "password_too_simple",
            "The password is easy to guess: most of it is repeated, goes along the keys, or is a word that many use. "
            "Choose several words that do not belong together.",
        )
    others = _without(text, _parts(own_words))
    if others != text and _unexpected(_without(others, SERVICE_WORDS)) < MIN_OWN:
        return PasswordProblem(
            "password_too_similar",
            "Most of the password is your name, your user name or your academy's name: choose words that have nothing "
            "to do with you.",
        )
    return None


def _is_common(text: str, common: Collection[str]) -> bool:
    bare = text.strip("0123456789!@#$%^&*()-_=+.,?~ ")
    return any(word in common for word in (text, bare, text.translate(_LEET), bare.translate(_LEET)) if word)


def _parts(words: Iterable[str]) -> list[str]:
    """Return the words, and their parts between spaces and punctuation. Leave out texts shorter than `MIN_WORD`.

    A word of up to 4 letters may be a Korean name. For such a word, also return the given name: all but the first
    letter.
    """
    found = set()
    for word in words:
        whole = normalised(word).casefold().strip()
        found |= {whole, whole[1:] if len(whole) <= 4 else whole, *"".join(_letters(whole)).split()}  # noqa: PLR2004
    return [part for part in found if len(part) >= MIN_WORD]


def _letters(text: str) -> Iterable[str]:
    return (letter if letter.isalnum() else " " for letter in text)


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "\0")
    return text


def _unexpected(text: str) -> int:
    """Return how many characters of a text an attacker cannot expect.

    Removed words, spaces and repeated parts do not count. A character that equals the previous one, or is its
    neighbour, does not count either.
    """
    text = _once(text.replace("\0", "").replace(" ", ""))
    if not text:
        return 0
    return 1 + sum(first != second and (first, second) not in NEIGHBOURS for first, second in pairwise(text))


def _once(text: str) -> str:
    """Return the shortest unit whose repetition is the text, such as `abc` for `abcabcab`, else the text itself."""
    for length in range(1, len(text) // 2 + 1):
        unit = text[:length]
        if (unit * (len(text) // length + 1))[: len(text)] == text:
            return unit
    return text
