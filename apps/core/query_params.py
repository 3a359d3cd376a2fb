"""What stands behind the `?` of an address: checked before it reaches a query."""

from rest_framework.request import Request
from rest_framework.serializers import ValidationError

MAX_DIGITS = 18
"""What a bigint surely holds; Python itself refuses to read numbers of some thousand digits."""
MAX_SEARCH_LETTERS = 100
"""Each word is a condition of its own, so that an endless search would be an endless query."""


def number_param(request: Request, name: str) -> int | None:
    """The parameter as a whole number from 0 on; None if it was not sent. Raises ValidationError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValidationError({name: [f"Write a whole number of at most {MAX_DIGITS} digits."]})
    return int(text)


def search_param(request: Request) -> str | None:
    """The parameter `search`; None if it was not sent. Raises ValidationError."""
    text = request.query_params.get("search")
    if text is None:
        return None
    if len(text) > MAX_SEARCH_LETTERS:
        raise ValidationError({"search": [f"Search for at most {MAX_SEARCH_LETTERS} letters."]})
    if "\0" in text:  # PostgreSQL has no such letter
        raise ValidationError({"search": ["Null characters are not allowed."]})
    return text
