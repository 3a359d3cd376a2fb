"""Calls one script many times, with one round trip to Redis for each batch of calls."""

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
"""How many calls are sent together: few, so that other clients do not wait long, but enough to save round trips."""

MOST_LOGGED = 1000
_logged: set[str] = set()

Item = TypeVar("Item")
Call = tuple[Sequence[str], Sequence[Any]]
"""KEYS and ARGV of one call of a script."""


def batched(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`. The last list may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def run_script(redis: Redis, name: str, calls: Iterable[Call], *, at_the_limit: bool = False) -> list[Any]:
    """Call a script many times. Return the answers in order, with None for an error that `isolated` permits.

    Raise RedisError if Redis fails. Even then some of the calls may have been executed.
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
    """Execute a pipeline. Return the answers in order, with None for an error that `isolated` permits.

    So a key of the wrong type in one tenant does not affect other tenants. `where` names the work in metrics and log.
    Raise RedisError if the error concerns Redis itself.
    """
    return [isolated(answer, where) for answer in pipeline.execute(raise_on_error=False)]


def isolated(answer: Any, where: str) -> Any:
    """Return the answer, or None for an error that only concerns one tenant's keys. Raise any other RedisError."""
    if not isinstance(answer, Exception):
        return answer
    if not isinstance(answer, ResponseError) or isinstance(answer, NoScriptError) or refusal(answer) is not None:
        raise answer
    note_isolated(where, answer)
    return None


def note_isolated(where: str, problem: Exception, **whose: Any) -> None:
    """Count an error that only concerns one tenant. Log the error unless the same error was logged before."""
    counts.isolated[where] += 1
    text = f"{where}: {str(problem).strip()} {whose}"
    if text not in _logged:
        if len(_logged) >= MOST_LOGGED:
            _logged.clear()
        _logged.add(text)
        log.error("isolated_error", where=where, error=str(problem).strip(), **whose)
