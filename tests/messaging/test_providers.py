"""Providers against real servers: accepted messages, refused messages, and unknown outcomes."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from pytest_django import Settings

from academy.adapters.messages.choice import open_provider
from academy.adapters.messages.folder import FolderProvider
from academy.adapters.messages.http_gateway import HttpProvider
from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    Outgoing,
    ProviderUnavailableError,
)
from academy.adapters.messages.smtp import SmtpProvider
from harness.system import eventually_now
from tests.messaging.gateway import DeafListener, Gateway, running_gateway

MESSAGE = Outgoing("job-7", "01055550001", "김하나 학생, 내일 쉽니다.")
SHORT = 0.3
PATIENCE_SECONDS = 60.0


def of(gateway: Gateway, timeout: float = PATIENCE_SECONDS) -> HttpProvider:
    return HttpProvider(gateway.url, token="gateway-token", timeout=timeout)


# Folder.


def test_a_message_is_one_whole_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    FolderProvider(folder).send(MESSAGE)
    (file,) = folder.iterdir()
    assert file.name == "job-7.json"
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "key": "job-7",
        "recipient": "01055550001",
        "text": MESSAGE.text,
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_same_message_twice_is_still_one_file(tmp_path: Path) -> None:
    provider = FolderProvider(tmp_path)
    for _ in range(2):
        provider.send(MESSAGE)
    assert [file.name for file in tmp_path.iterdir()] == ["job-7.json"]


def test_a_folder_that_cannot_be_written_to_accepts_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProviderUnavailableError, match="cannot be written to"):
        FolderProvider(tmp_path / "file").send(MESSAGE)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - hidden files too


# HTTP gateway.


def test_the_gateway_is_sent_the_text_the_number_the_token_and_a_key(gateway: Gateway) -> None:
    of(gateway).send(MESSAGE)
    assert gateway.received == [{"id": "job-7", "to": "01055550001", "text": MESSAGE.text}]
    (headers,) = gateway.headers
    assert headers["Authorization"] == "Bearer gateway-token"
    assert headers["Idempotency-Key"] == "job-7"
    assert headers["Content-Type"] == "application/json"
    assert headers["path"] == "/send?from=academy"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, MessageRefusedError),
        (410, MessageRefusedError),
        (422, MessageRefusedError),
        (302, ProviderUnavailableError),
        (401, ProviderUnavailableError),
        (403, ProviderUnavailableError),
        (404, ProviderUnavailableError),
        (429, ProviderUnavailableError),
        (503, ProviderUnavailableError),
        (500, OutcomeUnknownError),
        (502, OutcomeUnknownError),
        (504, OutcomeUnknownError),
        (0, OutcomeUnknownError),
    ],
)
def test_the_gateways_response_decides_the_outcome(gateway: Gateway, status: int, error: type[Exception]) -> None:
    gateway.answer = lambda _message: status
    with pytest.raises(error) as raised:
        of(gateway).send(MESSAGE)
    assert status == 0 or f"answer {status}" in str(raised.value)


def test_a_timeout_of_the_gateway_leaves_the_outcome_unknown(gateway: Gateway) -> None:
    given_up = threading.Event()

    def dawdle(_message: object) -> int:
        given_up.wait(PATIENCE_SECONDS)
        return 202

    gateway.answer = dawdle
    with pytest.raises(OutcomeUnknownError):
        of(gateway, timeout=SHORT).send(MESSAGE)
    given_up.set()
    eventually_now(lambda: len(gateway.received) == 1, "the request that was given up")


def test_an_unreachable_gateway_has_accepted_nothing() -> None:
    with running_gateway() as gone:
        url = gone.url
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        HttpProvider(url, token="", timeout=PATIENCE_SECONDS).send(MESSAGE)


def test_a_gateway_whose_tls_handshake_fails_has_accepted_nothing() -> None:
    deaf = DeafListener()
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        HttpProvider(deaf.url, token="", timeout=SHORT).send(MESSAGE)
    deaf.close()


# The choice of the provider.


@pytest.mark.parametrize(("name", "kind"), [("folder", FolderProvider), ("smtp", SmtpProvider), ("http", HttpProvider)])
def test_the_settings_choose_the_provider(settings: Settings, name: str, kind: type) -> None:
    settings.MESSAGE_PROVIDER = name
    provider = open_provider()
    assert isinstance(provider, kind)
    provider.close()
