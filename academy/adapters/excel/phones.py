"""Normalises Korean mobile numbers."""

import re

_MOBILE = re.compile(r"010[0-9]{8}")
_PLAIN = re.compile(r"[0-9 -]*")
_LATIN = re.compile(r"[A-Za-z]")
_REMARK = re.compile(r"[^\W\d]+")
_SOUTH_KOREA = 82
_MAX_LETTERS = 60


def normalise_korean_mobile(text: str) -> str | None:
    """Return the 11 digits beginning with 010, or None if the text is no Korean mobile number.

    Accepts numbers without the leading 0 or with +82, full-width digits, and a Korean remark beside the number, such as
    `(모)`. Returns None for two numbers in one cell. Also returns None for a text with Latin letters, because the
    library phonenumbers would read letters as the digits on a telephone's keys.
    """
    if len(text) > _MAX_LETTERS:
        return None
    digits = text.replace("-", "").replace(" ", "") if _PLAIN.fullmatch(text) else ""
    if _MOBILE.fullmatch(digits):
        return digits
    if _LATIN.search(text):
        return None
    import phonenumbers  # noqa: PLC0415 - the import is slow, and the usual numbers do not need it

    try:
        number = phonenumbers.parse(_REMARK.sub(" ", text).replace("()", " ").strip("() "), "KR")
    except phonenumbers.NumberParseException:
        return None
    repaired = f"0{phonenumbers.national_significant_number(number)}"
    return repaired if number.country_code == _SOUTH_KOREA and _MOBILE.fullmatch(repaired) else None
