"""Tests that the search for one dead letter ends, however many dead letters there are."""

from contextlib import nullcontext
from typing import Any

import pytest

from academy.adapters.queue import dead_letters
from apps.operations import letters


class Client:
    """Stands in for SQS with more dead letters than anybody wants to read. Counts the receives."""

    receives = 0

    def receive_message(self, **_: object) -> dict[str, Any]:
        self.receives += 1
        first = 10 * self.receives
        attributes = {"SentTimestamp": "1767225600000"}
        return {
            "Messages": [
                {"MessageId": f"letter-{number}", "ReceiptHandle": "r", "Body": "{}", "Attributes": attributes}
                for number in range(first, first + 10)
            ]
        }

    def change_message_visibility_batch(self, **_: object) -> None:
        """Do nothing."""


class Queue:
    dead_letter_name = "dead"

    def __init__(self, _name: str) -> None:
        pass

    def url_of(self, name: str) -> str:
        return name


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(dead_letters, "sqs_client", lambda: client)
    monkeypatch.setattr(dead_letters, "SqsJobQueue", Queue)
    monkeypatch.setattr(letters, "_alone", nullcontext)
    return client


def test_the_search_for_a_letter_that_is_gone_ends(client: Client) -> None:
    with pytest.raises(letters.TooManyLettersError):
        letters.with_letter("video", "gone", lambda *_: "")
    assert client.receives == letters.MOST_SEARCHED / 10


def test_a_letter_that_comes_late_is_found(client: Client) -> None:
    assert letters.with_letter("video", "letter-500", lambda _, letter: letter.message_id) == "letter-500"
    assert client.receives == 50
