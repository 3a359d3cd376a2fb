"""Running a coroutine without a task, as far as it goes without waiting.

Sending a frame waits only while the client is behind. A task for each frame and connection would cost more than the
frame itself. (Python 3.12 has eager tasks; this works on 3.11 too, and makes no task where none is needed.)
"""

import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


def start(coroutine: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Runs it up to its first wait. None if it has ended; else what is left of it, to be awaited in a task.

    Not for a coroutine that asks which task it runs in (`asyncio.timeout`): it would find the caller's.
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
            except BaseException as problem:  # noqa: BLE001 - a cancellation is the coroutine's, like all else
                waits_for = coroutine.throw(problem)
            else:
                waits_for = coroutine.send(value)
        except StopIteration:
            return
