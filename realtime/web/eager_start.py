"""Runs a coroutine without a task until it waits for the first time.

Sending a frame has to wait only if the client is behind. A task for each frame and connection would cost more than the
frame itself. (Python 3.12 has eager tasks. This module works on 3.11, too, and makes no task if none is needed.)
"""

import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


def start(coroutine: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run a coroutine up to its first wait. Return None if it has ended, else its rest, to be awaited in a task.

    Do not pass a coroutine that asks for the current task, as `asyncio.timeout` does: it would get the caller's task.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return _rest(coroutine, waits_for)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            try:
                value = yield waits_for
            except BaseException as problem:  # noqa: BLE001 - the coroutine handles a cancellation, too
                waits_for = coroutine.throw(problem)
            else:
                waits_for = coroutine.send(value)
        except StopIteration:
            return
