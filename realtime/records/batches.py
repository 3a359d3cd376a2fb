"""Many calls of one script in one round trip."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from realtime.records import scripts
from realtime.records.metrics import counts
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

BATCH = 200
"""Small enough that nobody else waits long for Redis, large enough that the way there costs little."""

MOST_LOGGED = 1000
_logged: set[str] = set()

Item = TypeVar("Item")
Call = tuple[Sequence[str], Sequence[Any]]
"""KEYS and ARGV."""


def batched(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def run_script(redis: Redis, name: str, calls: Iterable[Call], *, at_the_limit: bool = False) -> list[Any]:
    """What each call returned, in order; None for one that failed because of what its own keys hold.

    Raises RedisError; some calls may have been done then.
    """
    script = redis.register_script(scripts.source(name, at_the_limit=at_the_limit))
    answers: list[Any] = []
    for batch in batched(calls):
        with redis.pipeline(transaction=False) as pipe:
            for names, values in batch:
                script(list(names), list(values), client=pipe)
            answers += answers_of(pipe, name)
    return answers


def answers_of(pipeline: Any, where: str) -> list[Any]:
    """The answers to what a pipeline holds; None for a call that failed because of what its own keys hold.

    So a key of the wrong type in one tenant costs no other one anything. `where` names the work in metrics and log.
    Raises RedisError where the error says something of Redis itself.
    """
    return [isolated(answer, where) for answer in pipeline.execute(raise_on_error=False)]


def isolated(answer: Any, where: str) -> Any:
    """The answer, or None for an error that concerns one tenant's keys alone. Raises any other RedisError."""
    if not isinstance(answer, Exception):
        return answer
    if not isinstance(answer, ResponseError) or isinstance(answer, NoScriptError) or refusal(answer) is not None:
        raise answer
    note_isolated(where, answer)
    return None


def note_isolated(where: str, problem: Exception, **whose: Any) -> None:
    """Counts an error that concerns one tenant alone, and logs it if the same one was not logged before."""
    counts.isolated[where] += 1
    said = f"{where}: {str(problem).strip()} {whose}"
    if said not in _logged:
        if len(_logged) >= MOST_LOGGED:
            _logged.clear()
        _logged.add(said)
        log.error("isolated_error", where=where, error=str(problem).strip(), **whose)
