"""The audit of dead letters: an operator's action is recorded even if the queue or Redis fails during or after it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import RequestFactory
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import QueueUnavailableError
from apps.core.audit import Event
from apps.core.models import User
from apps.operations import letters, views

LETTER = Letter("letter-1", "receipt", "{}", "It failed.", 3, datetime(2026, 1, 1, tzinfo=UTC))


@contextmanager
def failing_end(problem: Exception) -> Iterator[None]:
    """Raise an error when the block ends."""
    yield
    raise problem


class Queue:
    """Stands in for the dead letters of a queue, which has one letter."""

    def __init__(self, _name: str, at_the_end: Exception | None = None) -> None:
        self._at_the_end = at_the_end

    @contextmanager
    def opened(self, **_: object) -> Iterator[list[Letter]]:
        yield [LETTER]
        if self._at_the_end:
            raise self._at_the_end


def outcome_of(act: Callable[[DeadLetters, Letter], str], problem: type[Exception] | None) -> list[str]:
    """Handle the letter with `act`, expect `problem` unless it is None, and return the outcomes in the audit log."""
    body = json.dumps({"queue": "video", "id": "letter-1"})
    request = RequestFactory().post("/", body, content_type="application/json")
    request.user = User(pk=7)
    with capture_logs() as logs, pytest.raises(problem) if problem else nullcontext():
        views._with_letter(request, Event.DEAD_LETTER_DELETED, act)
    noted = [line for line in logs if line["event"] == Event.DEAD_LETTER_DELETED]
    assert all((line["user"], line["subject"]) == (7, "letter:letter-1") for line in noted)
    return [line["outcome"] for line in noted]


def deleted(*_: object) -> str:
    return "deleted."


def test_a_deed_is_audited_if_the_queue_fails_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_alone", nullcontext)
    monkeypatch.setattr(letters, "DeadLetters", lambda name: Queue(name, QueueUnavailableError("It is gone.")))
    assert outcome_of(deleted, QueueUnavailableError) == ["ok"]


def test_a_deed_is_audited_if_redis_fails_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_alone", lambda: failing_end(RedisError("It is gone.")))
    monkeypatch.setattr(letters, "DeadLetters", Queue)
    assert outcome_of(deleted, RedisError) == ["ok"]


def test_a_deed_that_fails_halfway_is_audited_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def retried_but_not_deleted(*_: object) -> Any:
        raise QueueUnavailableError("It is gone.")

    monkeypatch.setattr(letters, "_alone", nullcontext)
    monkeypatch.setattr(letters, "DeadLetters", Queue)
    assert outcome_of(retried_but_not_deleted, QueueUnavailableError) == ["failed"]
