"""Checks frames against the AsyncAPI document of the protocol."""

from typing import Any

from realtime.conformance.schemas import Json, document, fault_of, messages_of

__all__ = ["describes", "document", "hold", "messages_of", "resolve"]


def resolve(reference: str) -> Any:
    """Return the part of the document that a `$ref` names. Raises LookupError if there is none."""
    found: Any = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def hold(frame: Json, operation: str) -> None:
    """Fail unless the frame is a message of this operation and matches its schema."""
    assert fault_of(frame, operation) is None, fault_of(frame, operation)


def describes(frame: Any, operation: str) -> bool:
    """Return whether this JSON value is a frame of the operation and matches its schema."""
    return fault_of(frame, operation) is None
