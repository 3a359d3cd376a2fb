"""Puts messages into the dead letters of a running product, as its workers do when they give a message up."""

import json
from typing import Any

from django.test import override_settings

from academy.adapters.queue.sqs import sqs_client
from harness.system import System


def put_letter(system: System, queue: str, body: dict[str, Any] | str, reason: str = "", receives: int = 3) -> str:
    """Put a message into the dead letters of the queue with this short name, and return the message's id."""
    name = f"{system.environment['SQS_QUEUE_PREFIX']}-{queue}-dead"
    attributes = {"reason": ("String", reason), "receives": ("Number", str(receives))}
    with override_settings(SQS_ENDPOINT_URL=system.environment["SQS_ENDPOINT_URL"]):
        client = sqs_client()
        sent = client.send_message(
            QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"],
            MessageBody=body if isinstance(body, str) else json.dumps(body),
            MessageAttributes={
                key: {"DataType": kind, "StringValue": text} for key, (kind, text) in attributes.items() if text
            },
        )
    return str(sent["MessageId"])
