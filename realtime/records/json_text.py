"""Encodes values as JSON, including types that JSON does not have, so that workers need not convert them.

| Python                              | JSON                              |
|-------------------------------------|-----------------------------------|
| NaN, infinity                       | null                              |
| datetime, date, time                | text, ISO 8601                    |
| UUID, Decimal, Path                 | text                              |
| set, frozenset, deque               | array                             |
| dataclass; Enum                     | object; its value                 |
| a number, None or a date as a key   | text                              |
| NUL or a lone surrogate in text     | U+FFFD, the replacement character |

NUL is replaced because PostgreSQL's `jsonb` refuses it, and a record may pass through the outbox.
"""

import re
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS
_ESCAPED_NUL = b"\\u0000"
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_MOST_DEPTH = 250


def json_text(value: Any) -> bytes:
    """Return a value as JSON.

    A value consists of None, booleans, numbers, text, lists, tuples, mappings, and the types in the table at the top of
    this module. Raise TypeError or ValueError for an object of any other class, an integer of more than 64 bits, and
    a value that contains itself.
    """
    try:
        text = orjson.dumps(value, _default, _OPTIONS)
    except orjson.JSONEncodeError:
        return orjson.dumps(_cleaned(value), _default, _OPTIONS)  # replaces lone surrogates; other errors occur again
    # True for a NUL, and for the six characters "\u0000" in a text of the value. Cleaning replaces only the NUL.
    if _ESCAPED_NUL in text:
        return orjson.dumps(_cleaned(orjson.loads(text)))
    return text


def _default(value: object) -> Any:
    if isinstance(value, (Decimal, PurePath)):
        return _clean_text(str(value))
    if isinstance(value, (set, frozenset, deque)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written")


def _cleaned(value: Any, depth: int = 0) -> Any:
    if depth > _MOST_DEPTH:
        raise ValueError(f"it is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {_cleaned(key, depth + 1): _cleaned(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_cleaned(item, depth + 1) for item in value]
    return value


def _clean_text(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
