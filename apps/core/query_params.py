"""Reads and checks parameters in the query string of a URL, before they reach a database query."""

from rest_framework.request import Request
from rest_framework.serializers import ValidationError

MAX_DIGITS = 18
"""Numbers with up to this many digits fit into a bigint. Python refuses to parse numbers of several thousand digits."""
MAX_SEARCH_LETTERS = 100
"""Each word of a search is a condition of its own, so a long search would be a long query."""
MAX_SEARCH_WORDS = 20
"""A word may become a regular expression. PostgreSQL keeps 32 compiled expressions. If a query had more, each of them
would be compiled again for every row."""


def number_param(request: Request, name: str) -> int | None:
    """Return the parameter as a whole number of at least 0, or None if it was not sent.

    Raises ValidationError for any other text, and for a number of more than `MAX_DIGITS` digits.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValidationError({name: [f"Write a whole number of at most {MAX_DIGITS} digits."]})
    return int(text)


def flag_param(request: Request, name: str) -> bool | None:
    """Return the parameter as True or False, or None if it was not sent. Raises ValidationError for any other text."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if text not in {"true", "false"}:
        raise ValidationError({name: ["Write true or false."]})
    return text == "true"


def search_param(request: Request) -> str | None:
    """Return the parameter `search`, or None if it was not sent.

    Raises ValidationError if it is too long, has too many words, or has null characters.
    """
    text = request.query_params.get("search")
    if text is None:
        return None
    if len(text) > MAX_SEARCH_LETTERS:
        raise ValidationError({"search": [f"Search for at most {MAX_SEARCH_LETTERS} letters."]})
    if len(text.split()) > MAX_SEARCH_WORDS:
        raise ValidationError({"search": [f"Search for at most {MAX_SEARCH_WORDS} words."]})
    if "\0" in text:  # PostgreSQL does not accept null characters
        raise ValidationError({"search": ["Null characters are not allowed."]})
    return text
