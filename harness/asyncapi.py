"""Checks frames against the AsyncAPI document of the protocol."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft4Validator, Draft7Validator, ValidationError, validators

from embedded.home import PROJECT

DOCUMENT = PROJECT / "docs" / "reference" / "asyncapi.yaml"

Json = dict[str, Any]


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Yield an error if a text does not match. As in ECMA-262, `$` matches only at the end, not before a line end."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# Unlike draft 7, draft 4 does not accept 2.0 as an integer. Neither does the server.
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft7Validator, {"pattern": _pattern}, type_checker=Draft4Validator.TYPE_CHECKER
)


@cache
def document() -> Json:
    loaded: Json = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


def resolve(reference: str) -> Any:
    """Return the part of the document that a `$ref` names. Raises LookupError if there is none."""
    found: Any = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


@cache
def messages_of(operation: str) -> frozenset[str]:
    """Return the names of an operation's messages, which are the types of its frames."""
    return frozenset(message["$ref"].rpartition("/")[2] for message in document()["operations"][operation]["messages"])


@cache
def _validator(schema: str) -> Any:
    return _Validator({"$ref": f"#/components/schemas/{schema}", "components": document()["components"]})


def hold(frame: Json, operation: str) -> None:
    """Fail unless the frame is a message of this operation and matches its schema."""
    assert frame["type"] in messages_of(operation), f"{operation} knows no {frame['type']}"
    _validator(frame["type"]).validate(frame)


def describes(frame: Any, operation: str) -> bool:
    """Return whether this JSON value is a frame of the operation and matches its schema."""
    kind = frame.get("type") if isinstance(frame, dict) else None
    return isinstance(kind, str) and kind in messages_of(operation) and bool(_validator(kind).is_valid(frame))
