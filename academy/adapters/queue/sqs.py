"""Queues on SQS (boto3): one for each worker, and one of dead letters for each.

A message is JSON: `{"job_id", "job_type", "tenant_id", "tenant_code"}`. It leaves through the outbox when it is
the job's turn (`academy.dispatch`), perhaps twice; the worker's claim makes the second harmless.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from realtime.records.errors import NotNowError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

AI_QUEUE, VIDEO_QUEUE, MESSAGING_QUEUE = "ai", "video", "messaging"
QUEUES = (AI_QUEUE, VIDEO_QUEUE, MESSAGING_QUEUE)
LONG_POLL_SECONDS = 20
REST_SECONDS = 2.0
"""How long nothing is sent to a queue that could not be used."""
RETENTION_SECONDS = 14 * 86_400
MAX_VISIBILITY_SECONDS = 43_200
MAX_DELAY_SECONDS = 900
BACKSTOP_RECEIVES = 50
"""The worker itself sends a message to the dead letters after its third receive, and says so in the job's status. This
is the queue's own limit, for a message that no worker lives long enough to judge."""


_rests: dict[str, tuple[float, str]] = {}
"""By the name of the queue: until when it is left alone, in monotonic seconds, and what had gone wrong."""


class QueueUnavailableError(NotNowError):
    """The queue cannot be reached, or does not exist (`manage.py provision` makes it)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as received: `receipt` stands for this receive of it, `receives` counts them."""

    message_id: str
    receipt: str
    body: str
    receives: int


def _client(config: Config) -> "SQSClient":
    """A client with the credentials of the settings: the environment does not keep what a program has read."""
    return boto3.client(
        "sqs",
        region_name=settings.AWS_REGION,
        endpoint_url=settings.SQS_ENDPOINT_URL,
        aws_access_key_id=settings.AWS_CREDENTIALS["aws_access_key_id"],
        aws_secret_access_key=settings.AWS_CREDENTIALS["aws_secret_access_key"],
        aws_session_token=settings.AWS_CREDENTIALS["aws_session_token"],
        config=config,
    )


@cache
def sqs_client() -> "SQSClient":
    """The process's client; clients of boto3 may be shared by threads."""
    patience = LONG_POLL_SECONDS + 10
    return _client(Config(connect_timeout=5, read_timeout=patience, retries={"max_attempts": 2, "mode": "standard"}))


@cache
def sending_client() -> "SQSClient":
    """The process's client for messages of the outbox. What it cannot send soon, the relay sends later."""
    return _client(Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}))


class SqsJobQueue:
    """One worker's queue. Every method raises QueueUnavailableError."""

    def __init__(self, name: str, client: "SQSClient | None" = None) -> None:
        self.short_name = name
        self.name = f"{settings.SQS_QUEUE_PREFIX}-{name}"
        self.dead_letter_name = f"{self.name}-dead"
        self._client = client or sqs_client()
        self._urls: dict[str, str] = {}

    def provision(self) -> None:
        """Makes the queue and its dead letters, or brings their settings up to date."""
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
        """Sends a message whose body is, or should be, JSON already."""
        with translated():
            self._client.send_message(QueueUrl=self.url_of(self.name), MessageBody=body)

    def receive(self, most: int, wait_seconds: int = LONG_POLL_SECONDS) -> list[Delivery]:
        """Waits for messages, and takes at most so many (1 to 10)."""
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
        """Shows the message to nobody for so long from now; 0 gives it back at once."""
        whole = min(MAX_VISIBILITY_SECONDS, max(0, round(seconds)))
        with translated():
            self._client.change_message_visibility(
                QueueUrl=self.url_of(self.name), ReceiptHandle=delivery.receipt, VisibilityTimeout=whole
            )

    def put_back(self, delivery: Delivery, seconds: float) -> None:
        """Lets the message come again after so long as if it were new: this receive of it was nobody's failure."""
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

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Moves a message to the dead letters, with the reason and how often it was received."""
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
        """How many messages wait to be received, about."""
        wanted: QueueAttributeNameType = "ApproximateNumberOfMessages"
        with translated():
            found = self._client.get_queue_attributes(QueueUrl=self.url_of(self.name), AttributeNames=[wanted])
        return int(found["Attributes"][wanted])

    def url_of(self, name: str) -> str:
        """Of this queue or of its dead letters."""
        if name not in self._urls:
            self._urls[name] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[name]


@contextmanager
def translated() -> Iterator[None]:
    """Raises QueueUnavailableError for whatever boto3 raises."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailableError(f"The queue cannot be used: {error}") from error


def send_outbox_message(payload: dict[str, Any]) -> None:
    """The outbox's sender for rows of the kind "queue": `{"queue", "body"}`. Raises QueueUnavailableError.

    After a failure it fails at once for some seconds: a queue that hangs costs one request its time-out, and not each.
    """
    queue = outbox_queue(payload["queue"])
    until, cause = _rests.get(queue.name, (0.0, ""))
    if time.monotonic() < until:
        raise QueueUnavailableError(f"The queue {queue.name} could not be used a moment ago. {cause}")
    try:
        queue.send(payload["body"])
    except QueueUnavailableError as problem:
        _rests[queue.name] = time.monotonic() + REST_SECONDS, str(problem)
        raise


def outbox_queue(name: str) -> SqsJobQueue:
    """The queue as the outbox sends to it: with the sending client, which waits for little."""
    return _outbox_queue(name, settings.SQS_QUEUE_PREFIX)


@cache
def _outbox_queue(name: str, prefix: str) -> SqsJobQueue:  # noqa: ARG001 - one for each prefix
    """A queue that keeps its address, which costs a round trip."""
    return SqsJobQueue(name, sending_client())


def provision_queues(names: Iterable[str] = QUEUES) -> None:
    for name in names:
        SqsJobQueue(name).provision()
