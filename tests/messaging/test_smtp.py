"""Messages over a real SMTP server."""

import email
from asyncio import Transport
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    Outgoing,
    ProviderUnavailableError,
)
from academy.adapters.messages.smtp import SmtpProvider
from embedded.ports import HOST, free_port
from tests.certificates import own_certificate

TEXT = "김하나 학생, 내일 쉽니다.\n그럼 모레 만나요."


class Mailbox:
    """The messages that the server accepted, and the replies that it will give."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.sessions: list[Any] = []
        self.users: list[str] = []
        self.sender_answer = self.recipient_answer = self.text_answer = ""
        self.hangs_up = False

    async def handle_MAIL(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library names it
        envelope.mail_from = address
        return self.sender_answer or "250 OK"

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library names it
        if self.recipient_answer and address.startswith("no-"):
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - the library names it
        if not any(session is known for known in self.sessions):
            self.sessions.append(session)
        if self.text_answer:
            return self.text_answer
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        self.recipients += envelope.rcpt_tos
        if self.hangs_up:
            cast("Transport", server.transport).abort()
        return "250 OK"

    def log_in(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"p@ss", handled=False)


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[str]:
    """Run a server with this mailbox, and yield its address."""
    controller = Controller(mailbox, hostname=HOST, port=free_port(), ready_timeout=60, **options)
    controller.start()
    try:
        yield f"{HOST}:{controller.port}"
    finally:
        controller.stop()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def where(mailbox: Mailbox) -> Iterator[str]:
    with serving(mailbox) as address:
        yield address


def provider(url: str, to: str = "{recipient}@sms.example.com") -> SmtpProvider:
    return SmtpProvider(url, sender="office@academy.example", to=to, timeout=60)


def message(key: str = "job-7", recipient: str = "01055550001") -> Outgoing:
    return Outgoing(key, recipient, TEXT)


def test_the_pattern_turns_a_number_into_an_address(mailbox: Mailbox, where: str) -> None:
    with closing(provider(f"smtp://{where}")) as smtp:
        smtp.send(message())
    (taken,) = mailbox.taken
    assert mailbox.recipients == ["01055550001@sms.example.com"]
    assert taken.get_content().replace("\r\n", "\n").strip() == TEXT
    assert (taken["From"], taken["To"]) == ("office@academy.example", "01055550001@sms.example.com")
    assert taken["Subject"] == "김하나 학생, 내일 쉽니다."
    assert taken["Message-ID"] == "<job-7@academy.example>"


def test_many_messages_share_one_connection(mailbox: Mailbox, where: str) -> None:
    with closing(provider(f"smtp://{where}")) as smtp:
        for number in range(5):
            smtp.send(message(f"job-{number}"))
    assert (len(mailbox.taken), len(mailbox.sessions)) == (5, 1)


def test_a_connection_that_the_server_closed_is_replaced(mailbox: Mailbox) -> None:
    with closing(provider("smtp://")) as smtp:
        for _ in range(2):
            with serving(mailbox) as address:
                smtp._url = provider(f"smtp://{address}")._url
                smtp.send(message())
    assert (len(mailbox.taken), len(mailbox.sessions)) == (2, 2)


def test_a_number_without_a_pattern_is_refused_without_contacting_the_server(mailbox: Mailbox, where: str) -> None:
    with closing(provider(f"smtp://{where}", to="{recipient}")) as smtp:
        with pytest.raises(MessageRefusedError, match="01055550001 is no e-mail address"):
            smtp.send(message())
        smtp.send(message(recipient="parent@example.com"))
    assert mailbox.recipients == ["parent@example.com"]


def test_a_refused_recipient_does_not_stop_the_others(mailbox: Mailbox, where: str) -> None:
    mailbox.recipient_answer = "550 no such number"
    with closing(provider(f"smtp://{where}")) as smtp:
        with pytest.raises(MessageRefusedError, match="550 no such number"):
            smtp.send(message(recipient="no-1"))
        smtp.send(message())
    assert mailbox.recipients == ["01055550001@sms.example.com"]


@pytest.mark.parametrize(
    ("sender", "recipient", "text", "error"),
    [
        ("550 who are you", "", "", ProviderUnavailableError),
        ("421 not now", "", "", ProviderUnavailableError),
        ("", "421 not now", "", ProviderUnavailableError),
        ("", "450 busy", "", MessageRefusedError),
        ("", "", "554 spam", MessageRefusedError),
        ("", "", "451 later", ProviderUnavailableError),
    ],
)
def test_the_smtp_servers_reply_decides_the_outcome(
    mailbox: Mailbox, where: str, sender: str, recipient: str, text: str, error: type[Exception]
) -> None:
    mailbox.sender_answer, mailbox.recipient_answer, mailbox.text_answer = sender, recipient, text
    with closing(provider(f"smtp://{where}")) as smtp:
        with pytest.raises(error, match=sender or recipient or text):
            smtp.send(message(recipient="no-1"))
        mailbox.sender_answer = mailbox.text_answer = ""
        smtp.send(message())
    assert len(mailbox.taken) == 1


def test_a_connection_lost_before_the_reply_leaves_the_outcome_unknown(mailbox: Mailbox, where: str) -> None:
    mailbox.hangs_up = True
    with closing(provider(f"smtp://{where}")) as smtp, pytest.raises(OutcomeUnknownError):
        smtp.send(message())
    assert len(mailbox.taken) == 1


def test_an_unreachable_smtp_server_has_accepted_nothing(mailbox: Mailbox) -> None:
    with serving(mailbox) as address:
        pass
    with closing(provider(f"smtp://{address}")) as smtp, pytest.raises(ProviderUnavailableError, match="took no"):
        smtp.send(message())


def test_a_password_is_not_sent_in_the_clear(mailbox: Mailbox) -> None:
    with serving(mailbox, authenticator=mailbox.log_in, auth_require_tls=False) as address:
        with closing(provider(f"smtp://office:p%40ss@{address}")) as smtp:
            with pytest.raises(ProviderUnavailableError, match="not sent in the clear"):
                smtp.send(message())
    assert (mailbox.users, mailbox.taken) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_over_tls_the_provider_logs_in(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    context = own_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    options = {"tls_context": context} if scheme == "smtp" else {"ssl_context": context, "auth_require_tls": False}
    with serving(mailbox, authenticator=mailbox.log_in, **options) as address:
        with closing(provider(f"{scheme}://office:p%40ss@{address}")) as smtp:
            smtp.send(message())
        with closing(provider(f"{scheme}://office:wrong@{address}")) as smtp:
            with pytest.raises(ProviderUnavailableError, match="535"):
                smtp.send(message())
    assert (set(mailbox.users), len(mailbox.taken)) == ({"office"}, 1)


def test_a_server_with_an_untrusted_certificate_gets_nothing(mailbox: Mailbox, tmp_path: Path) -> None:
    with serving(mailbox, authenticator=mailbox.log_in, tls_context=own_certificate(tmp_path)) as address:
        with closing(provider(f"smtp://office:p%40ss@{address}")) as smtp:
            with pytest.raises(ProviderUnavailableError, match=r"(?i)certificate"):
                smtp.send(message())
    assert (mailbox.users, mailbox.taken) == ([], [])
