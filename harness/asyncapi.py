"""The AsyncAPI document of the protocol, as tests hold frames against it."""

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
    """As ECMA-262 reads it, whose `$` is the end of the text and not the line end before it."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


# Draft 4 tells 2 from 2.0, as the server does.
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft7Validator, {"pattern": _pattern}, type_checker=Draft4Validator.TYPE_CHECKER
)


@cache
def document() -> Json:
    loaded: Json = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


def resolve(reference: str) -> Any:
    """What a `$ref` of the document leads to. Raises LookupError."""
    found: Any = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


@cache
def messages_of(operation: str) -> frozenset[str]:
    """The names of the messages of an operation, each a frame's type."""
    return frozenset(message["$ref"].rpartition("/")[2] for message in document()["operations"][operation]["messages"])


@cache
def _validator(schema: str) -> Any:
    return _Validator({"$ref": f"#/components/schemas/{schema}", "components": document()["components"]})


def hold(frame: Json, operation: str) -> None:
    """Fails unless the frame is one of this operation's, and as described."""
    assert frame["type"] in messages_of(operation), f"{operation} knows no {frame['type']}"
    _validator(frame["type"]).validate(frame)


def describes(frame: Any, operation: str) -> bool:
    """Whether this JSON is a frame of the operation."""
    kind = frame.get("type") if isinstance(frame, dict) else None
    return isinstance(kind, str) and kind in messages_of(operation) and bool(_validator(kind).is_valid(frame))
