"""Compares frames with the AsyncAPI document of the protocol."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, Draft7Validator, ValidationError, validators
from jsonschema.exceptions import best_match

SENT_BY_SERVER = "pushOverWebSocket"
SENT_BY_CLIENT = "hearOverWebSocket"
SENT_AS_EVENTS = "pushAsEvents"
_DOCUMENT = Path(__file__).with_name("asyncapi.json")

Json = dict[str, Any]


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Yield an error if a text does not match. As in ECMA-262, `$` does not match before a final line break."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# Unlike draft 7, draft 4 does not accept 2.0 as an integer. Neither does the server.
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft7Validator, {"pattern": _pattern}, type_checker=Draft4Validator.TYPE_CHECKER
)


@cache
def document() -> Json:
    """Return the AsyncAPI document. script/frame-types writes it as JSON from `docs/reference/asyncapi.yaml`."""
    loaded: Json = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return loaded


@cache
def messages_of(operation: str) -> frozenset[str]:
    """Return the names of an operation's messages, which are the types of its frames."""
    return frozenset(message["$ref"].rpartition("/")[2] for message in document()["operations"][operation]["messages"])


@cache
def _validator(schema: str) -> Any:
    return _Validator({"$ref": f"#/components/schemas/{schema}", "components": document()["components"]})


def fault_of(frame: Any, operation: str) -> str | None:
    """Say why a JSON value is no frame of an operation. Return None if it is one."""
    kind = frame.get("type") if isinstance(frame, dict) else None
    if not isinstance(kind, str) or kind not in messages_of(operation):
        return f"The type {kind!r} is none of {', '.join(sorted(messages_of(operation)))}."
    error = best_match(_validator(kind).iter_errors(frame))
    return None if error is None else f"{kind}, at {error.json_path}: {error.message}"
