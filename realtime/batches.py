"""Many calls of one script in one round trip."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from redis import Redis

from realtime import scripts

BATCH = 200
"""Small enough that nobody else waits long for Redis, large enough that the way there costs little."""

Item = TypeVar("Item")
Call = tuple[Sequence[str], Sequence[Any]]
"""KEYS and ARGV."""


def batched(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def run_script(redis: Redis, name: str, calls: Iterable[Call], *, at_the_limit: bool = False) -> list[Any]:
    """What each call returned, in order. Raises RedisError; some calls may have been done then."""
    script = redis.register_script(scripts.source(name, at_the_limit=at_the_limit))
    answers: list[Any] = []
    for batch in batched(calls):
        with redis.pipeline(transaction=False) as pipe:
            for names, values in batch:
                script(list(names), list(values), client=pipe)
            answers += pipe.execute()
    return answers
