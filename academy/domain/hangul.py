"""Searches Hangul as people type it: by initial consonants (`ㄱㅁㅅ` finds `김민수`), and by incomplete syllables.

A word of a search becomes a regular expression. It has no quantifiers, so its cost grows only with its length.
"""

import re
import unicodedata

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_FINALS, _SYLLABLES_OF_AN_INITIAL = 28, 588
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_PAIRS = {
    "ㄳ": "ㄱㅅ",
    "ㄵ": "ㄴㅈ",
    "ㄶ": "ㄴㅎ",
    "ㅄ": "ㅂㅅ",
    "ㄺ": "ㄹㄱ",
    "ㄻ": "ㄹㅁ",
    "ㄼ": "ㄹㅂ",
    "ㄽ": "ㄹㅅ",
    "ㄾ": "ㄹㅌ",
    "ㄿ": "ㄹㅍ",
    "ㅀ": "ㄹㅎ",
}
"""The letters that an input method makes of two consonants, each with those two consonants."""
_FINAL_LETTERS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
"""The final consonants in the order in which Unicode lists syllables. The blank stands for no final consonant."""
_CONJOINING = {0x1100 + place: letter for place, letter in enumerate(_INITIALS)}


def search_pattern(word: str) -> str | None:
    """Return a case-sensitive regular expression that finds texts with this word.

    Return None if the word has no Hangul consonant and no Hangul syllable.

    A consonant finds every syllable that begins with it. The last syllable may be incomplete: `기` finds `김`, and
    `김밋` finds `김미소`, because an input method shows the next syllable's first consonant as a final one.
    """
    letters = _letters(word)
    if not any(letter in _INITIALS or _is_syllable(letter) for letter in letters):
        return None
    return "".join(_letter(letter) for letter in letters[:-1]) + _last(letters[-1])


def _letters(word: str) -> str:
    """Return the word in NFC, with the consonants outside of its syllables as letters of `_INITIALS`.

    A letter such as `ㄳ` becomes two letters. A conjoining initial (U+1100 to U+1112) becomes an ordinary letter.
    """
    text = unicodedata.normalize("NFC", word).translate(_CONJOINING)
    return "".join(_PAIRS.get(letter, letter) for letter in text)


def _letter(letter: str) -> str:
    if letter in _INITIALS:
        return _initial(letter)
    if letter.lower() != letter.upper() and len(letter.lower() + letter.upper()) == 2:  # noqa: PLR2004 - one of each
        return f"[{letter.lower()}{letter.upper()}]"
    return re.escape(letter)


def _initial(consonant: str) -> str:
    first = _FIRST_SYLLABLE + _INITIALS.index(consonant) * _SYLLABLES_OF_AN_INITIAL
    return f"[{consonant}{chr(first)}-{chr(first + _SYLLABLES_OF_AN_INITIAL - 1)}]"


def _last(letter: str) -> str:
    if not _is_syllable(letter):
        return _letter(letter)
    final = (ord(letter) - _FIRST_SYLLABLE) % _FINALS
    open_syllable = ord(letter) - final
    if final == 0:
        return f"[{letter}-{chr(open_syllable + _FINALS - 1)}]"
    consonants = _PAIRS.get(_FINAL_LETTERS[final], _FINAL_LETTERS[final])
    kept = _FINAL_LETTERS.index(consonants[0]) if len(consonants) > 1 else 0
    return f"({letter}|{chr(open_syllable + kept)}{_initial(consonants[-1])})"


def _is_syllable(letter: str) -> bool:
    return _FIRST_SYLLABLE <= ord(letter) <= _LAST_SYLLABLE
