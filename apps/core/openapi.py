"""Notes what the OpenAPI document says about a view's method, without loading the code that makes the document."""

from collections.abc import Callable
from typing import Any, TypeVar

import drf_spectacular.utils

F = TypeVar("F", bound=Callable[..., Any])

_notes: list[tuple[Callable[..., Any], dict[str, Any]]] = []


def extend_schema(**description: Any) -> Callable[[F], F]:
    """Decorate a method with the arguments of drf-spectacular's `extend_schema`, which the generator applies later.

    drf-spectacular's own decorator imports its generator and Django's test client, which most processes never need.
    """

    def note(method: F) -> F:
        _notes.append((method, description))
        return method

    return note


def apply_notes() -> None:
    """Apply the notes of all modules imported so far."""
    while _notes:
        method, description = _notes.pop(0)
        drf_spectacular.utils.extend_schema(**description)(method)
