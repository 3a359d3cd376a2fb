"""Queues on SQS (boto3): one for each kind of worker, each with a queue of dead letters.

A message is JSON: `{"job_id", "job_type", "tenant_id", "tenant_code"}`, or `{"video_id", "tenant_id", "tenant_code"}`.
It is sent through the outbox at the job's turn (`academy.dispatch`). It may be sent twice, which is harmless, because a
worker must claim the job.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from realtime.records.errors import NotNowError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

AI_QUEUE, VIDEO_QUEUE, MESSAGING_QUEUE = "ai", "video", "messaging"
QUEUES = (AI_QUEUE, VIDEO_QUEUE, MESSAGING_QUEUE)
LONG_POLL_SECONDS = 20
PAUSE_SECONDS = 2.0
"""When sending to a queue fails, nothing more is sent to it for this many seconds."""
RETENTION_SECONDS = 14 * 86_400
MAX_VISIBILITY_SECONDS = 43_200
MAX_DELAY_SECONDS = 900
BACKSTOP_RECEIVES = 50
"""After this many receives the queue itself moves a message to the dead letters. That happens only if every worker that
receives the message dies. Normally a worker moves a message that was received three times without success, and makes
the job FAILED."""


_pauses: dict[str, tuple[float, str]] = {}
"""The queues that failed, with the monotonic time until which nothing is sent to each, and its error."""


class QueueUnavailableError(NotNowError):
    """The queue cannot be reached, or does not exist (`manage.py provision` creates it)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received message. `receipt` identifies this receive, and `receives` counts all receives of the message."""

    message_id: str
    receipt: str
    body: str
    receives: int


def _client(**options: Any) -> "SQSClient":
    """Return a client with these options of `botocore.config.Config`.

    Its credentials are from the settings, because `config.hidden` removes them from the environment.
    """
    # These imports are slow, and many commands never use a queue.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "sqs",
        region_name=settings.AWS_REGION,
        endpoint_url=settings.SQS_ENDPOINT_URL,
        aws_access_key_id=settings.AWS_CREDENTIALS["aws_access_key_id"],
        aws_secret_access_key=settings.AWS_CREDENTIALS["aws_secret_access_key"],
        aws_session_token=settings.AWS_CREDENTIALS["aws_session_token"],
        config=Config(**options),
    )


@cache
def sqs_client() -> "SQSClient":
    """Return the client that all threads of this process share, as boto3 allows."""
    patience = LONG_POLL_SECONDS + 10
    return _client(connect_timeout=5, read_timeout=patience, retries={"max_attempts": 2, "mode": "standard"})


@cache
def sending_client() -> "SQSClient":
    """Return the client that sends the outbox. Its time-outs are short, because the relay tries again later."""
    return _client(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})


class SqsJobQueue:
    """The queue of one kind of worker. Every method may raise QueueUnavailableError."""

    def __init__(self, name: str, client: "SQSClient | None" = None) -> None:
        self.short_name = name
        self.name = f"{settings.SQS_QUEUE_PREFIX}-{name}"
        self.dead_letter_name = f"{self.name}-dead"
        self._client = client or sqs_client()
        self._urls: dict[str, str] = {}

    def provision(self) -> None:
        """Create the queue and its queue of dead letters, or update their settings."""
        with translated():
            kept: Mapping[QueueAttributeNameType, str] = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
            dead = self._client.create_queue(QueueName=self.dead_letter_name, Attributes=kept)["QueueUrl"]
            answer = self._client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
            redrive = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": BACKSTOP_RECEIVES}
            url = self._client.create_queue(QueueName=self.name)["QueueUrl"]
            self._client.set_queue_attributes(
                QueueUrl=url,
                Attributes={
                    **kept,
                    "RedrivePolicy": json.dumps(redrive),
                    "VisibilityTimeout": str(settings.WORKER_VISIBILITY_SECONDS),
                },
            )

    def send(self, body: dict[str, Any]) -> None:
        self.send_text(json.dumps(body, ensure_ascii=False))

    def send_text(self, body: str) -> None:
        """Send a message with this text, which is normally JSON, as its body."""
        with translated():
            self._client.send_message(QueueUrl=self.url_of(self.name), MessageBody=body)

    def receive(self, most: int, wait_seconds: int = LONG_POLL_SECONDS) -> list[Delivery]:
        """Wait up to `wait_seconds` for messages. Return those received, at most `most` (1 to 10), or an empty list."""
        with translated():
            answer = self._client.receive_message(
                QueueUrl=self.url_of(self.name),
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=settings.WORKER_VISIBILITY_SECONDS,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Delivery(
                message["MessageId"],
                message["ReceiptHandle"],
                message["Body"],
                int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for message in answer.get("Messages", [])
        ]

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message from all receivers for this many seconds from now. With 0 it is shown at once."""
        whole = min(MAX_VISIBILITY_SECONDS, max(0, round(seconds)))
        with translated():
            self._client.change_message_visibility(
                QueueUrl=self.url_of(self.name), ReceiptHandle=delivery.receipt, VisibilityTimeout=whole
            )

    def put_back(self, delivery: Delivery, seconds: float) -> None:
        """Replace the message by a copy that is shown after this many seconds. The copy's receives start at 0."""
        with translated():
            self._client.send_message(
                QueueUrl=self.url_of(self.name),
                MessageBody=delivery.body,
                DelaySeconds=min(MAX_DELAY_SECONDS, math.ceil(seconds)),
            )
        self.delete(delivery)

    def delete(self, delivery: Delivery) -> None:
        with translated():
            self._client.delete_message(QueueUrl=self.url_of(self.name), ReceiptHandle=delivery.receipt)

    def move_to_dead_letters(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead letters, with the reason and how often it was received."""
        # The reason may quote the message, and SQS refuses an attribute with control characters.
        shown = "".join(letter if letter.isprintable() else " " for letter in reason)
        with translated():
            self._client.send_message(
                QueueUrl=self.url_of(self.dead_letter_name),
                MessageBody=delivery.body,
                MessageAttributes={
                    "reason": {"DataType": "String", "StringValue": shown[:500]},
                    "receives": {"DataType": "Number", "StringValue": str(delivery.receives)},
                },
            )
        self.delete(delivery)

    def depth(self) -> int:
        """Return the approximate number of messages that wait to be received."""
        return self._number_in(self.name)

    def dead_letters(self) -> int:
        """Return the approximate number of dead letters of this queue."""
        return self._number_in(self.dead_letter_name)

    def _number_in(self, name: str) -> int:
        wanted: QueueAttributeNameType = "ApproximateNumberOfMessages"
        with translated():
            found = self._client.get_queue_attributes(QueueUrl=self.url_of(name), AttributeNames=[wanted])
        return int(found["Attributes"][wanted])

    def url_of(self, name: str) -> str:
        """Return the URL for `name`, the full name of this queue or of its queue of dead letters."""
        if name not in self._urls:
            self._urls[name] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[name]


@contextmanager
def translated() -> Iterator[None]:
    """Translate errors of boto3 in a `with` block to QueueUnavailableError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailableError(f"The queue cannot be used: {error}") from error


def send_outbox_message(payload: dict[str, Any]) -> None:
    """Send the message of an outbox row of the kind "queue". `payload` has `queue` and `body`.

    Raises QueueUnavailableError if the message cannot be sent. For `PAUSE_SECONDS` after a failure, every call for the
    same queue raises this error at once. So if a queue hangs, not every caller waits for the time-out.
    """
    queue = outbox_queue(payload["queue"])
    until, cause = _pauses.get(queue.name, (0.0, ""))
    if time.monotonic() < until:
        raise QueueUnavailableError(f"The queue {queue.name} could not be used a moment ago. {cause}")
    try:
        queue.send(payload["body"])
    except QueueUnavailableError as problem:
        _pauses[queue.name] = time.monotonic() + PAUSE_SECONDS, str(problem)
        raise


def outbox_queue(name: str) -> SqsJobQueue:
    """Return the queue with the client that the outbox uses (`sending_client`)."""
    return _outbox_queue(name, settings.SQS_QUEUE_PREFIX)


@cache
def _outbox_queue(name: str, prefix: str) -> SqsJobQueue:  # noqa: ARG001 - one for each prefix
    """Return the queue. The object is cached, because finding out the URL of a queue costs a round trip."""
    return SqsJobQueue(name, sending_client())


def provision_queues() -> None:
    for name in QUEUES:
        SqsJobQueue(name).provision()
