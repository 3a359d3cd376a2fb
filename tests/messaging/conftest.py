"""Fixtures for the worker of bulk messages: a bench for one academy, and a gateway that keeps what it receives."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings
from redis import Redis

from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_students import create_student
from academy.adapters.messages import choice, rate
from academy.adapters.messages.rate import message_rate
from academy.adapters.queue.sqs import MESSAGING_QUEUE
from academy.domain.messages import To
from academy.domain.student_rows import StudentRow
from academy.messages import submit_messages
from apps.core.models import User
from apps.domains.ai.models import AIJobResult
from apps.worker.messaging_worker import health
from apps.worker.messaging_worker.dispatcher import HANDLERS
from tests.messaging.gateway import Gateway, running_gateway
from tests.worker.conftest import Bench, bench_of

PHONE = "01055550000"
FAST = 60_000
PATIENCE_SECONDS = 60.0


class MessagingBench(Bench):
    """A Bench for the messaging worker: its queue, its handler and helpers to write messages."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.handlers.update(HANDLERS)
        self._numbers = count(1)

    def student(self, name: str = "", parent_phone: str = "", phone: str = "") -> int:
        number = next(self._numbers)
        row = StudentRow(number, name or f"학생{number}", parent_phone or f"0105555{number:04}", phone)
        return create_student(self.tenant.pk, row, f"student{number}", "!")

    def write(
        self,
        text: str,
        *students: int,
        to: To = To.PARENT,
        lecture: int | None = None,
        key: UUID | None = None,
    ) -> UUID:
        owner, _ = User.objects.get_or_create(tenant=self.tenant, username="owner")
        return submit_messages(
            tenant_id=self.tenant.pk,
            created_by=owner.pk,
            text=text,
            to=to,
            lecture_id=lecture,
            student_ids=students,
            idempotency_key=key,
        )

    def write_to_new(self, students: int, text: str = "{name}") -> UUID:
        return self.write(text, *[self.student() for _ in range(students)])

    def outcomes(self, job_id: UUID) -> list[tuple[str, str]]:
        """Return the status and the code of each message, in the order of sending."""
        return list(repositories_messages.messages_of(self.tenant.pk, job_id).values_list("status", "code"))

    def result(self, job_id: UUID) -> dict[str, Any]:
        result: dict[str, Any] = AIJobResult.objects.get(job__job_id=job_id).result
        return result


@pytest.fixture
def bench(
    transactional_db: None, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MessagingBench]:
    """Yield a bench that does not pause after a failure of the provider, and may send many messages a minute.

    It waits long for Redis and for the provider, because a busy machine is no outage.
    """
    monkeypatch.setattr(health, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(rate, "REDIS_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(choice, "TIMEOUT_SECONDS", PATIENCE_SECONDS)
    settings.MESSAGE_RATE_PER_MINUTE = FAST
    message_rate.cache_clear()
    with bench_of(MessagingBench, MESSAGING_QUEUE, settings, monkeypatch) as made:
        yield made
    message_rate.cache_clear()


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Gateway]:
    """Run the gateway to which messages are sent, for the duration of the test."""
    with running_gateway() as running:
        settings.MESSAGE_PROVIDER = "http"
        settings.MESSAGE_HTTP_URL = running.url
        settings.MESSAGE_HTTP_TOKEN = "gateway-token"
        yield running
