"""Tests of a queue that cannot be used: one request waits for a time-out, and those that follow do not wait."""

import secrets
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from pytest_django import Settings

from academy.adapters.doctor import check_queues
from academy.adapters.queue import sqs
from academy.adapters.queue.sqs import AI_QUEUE, QueueUnavailableError, SqsJobQueue, send_outbox_message
from embedded.group import Servers
from realtime.records.errors import CheckFailedError


def test_after_a_failure_a_queue_is_not_tried_for_a_moment(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SQS_QUEUE_PREFIX = f"outbox-{secrets.token_hex(6)}"
    monkeypatch.setattr(sqs, "PAUSE_SECONDS", 3600.0)
    message = {"queue": AI_QUEUE, "body": {"job_id": "1"}}
    with pytest.raises(QueueUnavailableError, match="cannot be used"):  # the queue does not exist
        send_outbox_message(message)
    SqsJobQueue(AI_QUEUE).provision()
    with pytest.raises(QueueUnavailableError, match=r"a moment ago.*(NonExistent|does not exist)"):
        send_outbox_message(message)
    sqs._pauses.clear()  # as after the pause
    send_outbox_message(message)
    assert [delivery.body for delivery in SqsJobQueue(AI_QUEUE).receive(1, 20)] == ['{"job_id": "1"}']


def test_the_doctor_uses_the_client_that_sends(
    settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SQS_QUEUE_PREFIX = f"doctor-{secrets.token_hex(6)}"
    sqs.provision_queues()

    class Refused:
        """A client for sending that has no credentials. The clients for receiving have credentials."""

        def get_queue_url(self, **_: Any) -> None:
            raise BotoCoreError

        get_queue_attributes = get_queue_url

    monkeypatch.setattr(sqs, "sending_client", Refused)
    with pytest.raises(CheckFailedError) as refused:
        check_queues()
    assert "AWS credentials" in refused.value.mend
