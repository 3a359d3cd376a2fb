"""Sends messages to an HTTP gateway. Each message is a POST of JSON on a connection of its own.

Connections are not reused: a gateway could close one at the moment at which the next message is sent. Nobody would then
know whether that message arrived.
"""

import json
import ssl
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    Outgoing,
    ProviderUnavailableError,
)

MAX_REPLY_BYTES = 10_000
NOTHING_TAKEN = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Status codes that mean that the gateway accepts no messages from us at the moment, for any recipient."""


class HttpProvider:
    """A Provider that sends each message to an HTTP gateway."""

    def __init__(self, url: str, *, token: str, timeout: float) -> None:
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._timeout = timeout

    def send(self, message: Outgoing) -> None:
        body = json.dumps({"id": message.key, "to": message.recipient, "text": message.text}, ensure_ascii=False)
        connection = self._connect()
        try:
            connection.request("POST", self._target, body.encode(), self._headers | {"Idempotency-Key": message.key})
            with connection.getresponse() as answer:
                status, reply = answer.status, answer.read(MAX_REPLY_BYTES)
        except (OSError, HTTPException) as problem:
            raise OutcomeUnknownError(str(problem)) from problem
        finally:
            connection.close()
        _judge(status, reply)

    def close(self) -> None:
        """Do nothing, because no connection is kept open."""

    @property
    def _target(self) -> str:
        return (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")

    def _connect(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        connection = (
            HTTPSConnection(host, port, timeout=self._timeout, context=ssl.create_default_context())
            if self._url.scheme == "https"
            else HTTPConnection(host, port, timeout=self._timeout)
        )
        try:
            connection.connect()
        except OSError as problem:
            connection.close()
            raise ProviderUnavailableError(f"The gateway {host} cannot be reached: {problem}") from problem
        return connection


def _judge(status: int, reply: bytes) -> None:
    """Raise the error for the status code of an answer. Return normally for 2xx, which means success.

    Raises ProviderUnavailableError for a code in `NOTHING_TAKEN` and for a redirection, MessageRefusedError for any
    other 4xx, and OutcomeUnknownError for any other 5xx.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    answered = f"{status} {' '.join(reply.decode('utf-8', 'replace').split())}"
    if status in NOTHING_TAKEN or status < HTTPStatus.BAD_REQUEST:  # a redirection: the URL is wrong
        raise ProviderUnavailableError(f"The gateway takes no messages: {answered}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise OutcomeUnknownError(answered)
    raise MessageRefusedError(f"The gateway refused the message: {answered}")
