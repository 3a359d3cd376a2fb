"""Lists the dead letters, or acts on one of them. Only one operator at a time can use this module."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from django.conf import settings

from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import QUEUES
from apps.worker.dead_letters import parts_of
from realtime import conf

MOST_LETTERS = 100
"""How many dead letters of each queue are shown at most. The command `deadletters` shows all."""
MOST_SEARCHED = 1000
"""How many letters are received at most in the search for one letter."""
LOCK_SECONDS = 120

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class BusyError(Exception):
    """Another operator is using the dead letters. A letter that one process received is hidden from the others."""


class NoSuchLetterError(Exception):
    """The queue has no dead letter with this id."""


class TooManyLettersError(Exception):
    """The letter is not among the first `MOST_SEARCHED` that the queue gave. There may be more letters."""


def list_letters() -> list[dict[str, Any]]:
    """Return at most `MOST_LETTERS` dead letters of each queue, in one list sorted by when they were given up.

    Raises BusyError if another operator is using them, and QueueUnavailableError or RedisError if a queue or Redis
    cannot be reached.
    """
    with _alone(), ThreadPoolExecutor(len(QUEUES)) as threads:
        found = [letter for letters in threads.map(_letters_of, QUEUES) for letter in letters]
    return sorted(found, key=lambda letter: str(letter["given_up_at"]))


def with_letter(queue_name: str, letter_id: str, act: Callable[[DeadLetters, Letter], str]) -> str:
    """Call `act` with the letter that has this id, and return what `act` returns.

    Raises NoSuchLetterError if there is no such letter, TooManyLettersError if it is not among the first
    `MOST_SEARCHED`, the errors of `list_letters`, and those of `act`.
    """
    queue = DeadLetters(queue_name)
    with _alone(), queue.opened(most=MOST_SEARCHED, wanted=letter_id) as letters:
        for letter in letters:
            if letter.message_id == letter_id:
                return act(queue, letter)
        searched = len(letters)
    raise NoSuchLetterError if searched < MOST_SEARCHED else TooManyLettersError


def _letters_of(queue_name: str) -> list[dict[str, Any]]:
    with DeadLetters(queue_name).opened(most=MOST_LETTERS) as letters:
        return [_shown(queue_name, letter) for letter in letters[:MOST_LETTERS]]


def _shown(queue_name: str, letter: Letter) -> dict[str, Any]:
    tenant, about = parts_of(queue_name, letter)
    return {
        "queue": queue_name,
        "id": letter.message_id,
        "given_up_at": letter.sent_at.timestamp(),
        "receives": letter.receives,
        "tenant": tenant,
        "about": about,
        "reason": letter.reason,
    }


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other operator use this module while the block runs, but for at most `LOCK_SECONDS`.

    Raises BusyError if another operator is using it.
    """
    key, token = f"{settings.REALTIME_KEY_PREFIX}worker:dead-letters", token_hex(8)
    if not conf.redis().set(key, token, nx=True, ex=LOCK_SECONDS):
        raise BusyError
    try:
        yield
    finally:
        conf.redis().eval(_RELEASE, 1, key, token)
