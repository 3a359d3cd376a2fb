"""The dead letters of a queue: the messages that a worker or the queue itself gave up, each with the reason."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from academy.adapters.queue.sqs import BACKSTOP_RECEIVES, SqsJobQueue, sqs_client, translated

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

HELD_SECONDS = 120
"""How long received letters stay hidden from other readers. Normally `opened` shows them again sooner."""
WAIT_SECONDS = 1
"""How long a receive waits. Without waiting, SQS queries only some of its servers, and may overlook letters."""
BATCH = 10
NEVER_JUDGED = f"The queue itself gave it up after {BACKSTOP_RECEIVES} receives: no worker lived to judge it."


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `receives` is how often the message was received before it was given up.

    `sent_at` is when a worker gave the message up. If the queue itself gave it up, `sent_at` is when it was first sent.
    """

    message_id: str
    receipt: str
    body: str
    reason: str
    receives: int
    sent_at: datetime


class DeadLetters:
    """The dead letters of the queue `queue_name`. Every method may raise QueueUnavailableError."""

    def __init__(self, queue_name: str) -> None:
        self.queue_name = queue_name
        self._queue = SqsJobQueue(queue_name)
        self._client = sqs_client()
        self._held: dict[str, Letter] = {}

    @contextmanager
    def opened(self, *, most: int | None = None, wanted: str | None = None) -> Iterator[list[Letter]]:
        """Receive all letters, and yield a list of them, the oldest first, to a `with` block.

        With `most`, stop as soon as at least this number of letters was received. With `wanted`, stop as soon as the
        letter with this id was received.
        The letters are hidden from other readers until the block ends, but for at most 120 seconds. Letters that the
        block deleted or put back are not shown again.
        """
        try:
            while self._take_some():
                if wanted in self._held or (most is not None and len(self._held) >= most):
                    break
            yield sorted(self._held.values(), key=lambda letter: letter.sent_at)
        finally:
            self._show_again()

    def delete(self, letter: Letter) -> None:
        with translated():
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)
        self._held.pop(letter.message_id, None)

    def put_back(self, letter: Letter) -> None:
        """Move the letter back to its queue, unchanged."""
        self._queue.send_text(letter.body)
        self.delete(letter)

    @property
    def _url(self) -> str:
        return self._queue.url_of(self._queue.dead_letter_name)

    def _take_some(self) -> bool:
        """Receive some letters. Return whether any of them was new to this object."""
        with translated():
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=WAIT_SECONDS,
                VisibilityTimeout=HELD_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["reason", "receives"],
            )
        letters = {letter.message_id: letter for letter in map(_letter, answer.get("Messages", []))}
        some = letters.keys() - self._held.keys()
        self._held |= letters
        return bool(some)

    def _show_again(self) -> None:
        left = list(self._held.values())
        self._held.clear()
        for first in range(0, len(left), BATCH):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for number, letter in enumerate(left[first : first + BATCH])
            ]
            with translated():
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


def _letter(message: "MessageTypeDef") -> Letter:
    attributes: Mapping[str, Any] = message.get("MessageAttributes", {})
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    return Letter(
        message["MessageId"],
        message["ReceiptHandle"],
        message["Body"],
        attributes["reason"]["StringValue"] if "reason" in attributes else NEVER_JUDGED,
        int(attributes["receives"]["StringValue"]) if "receives" in attributes else BACKSTOP_RECEIVES,
        datetime.fromtimestamp(sent_ms / 1000, UTC),
    )
