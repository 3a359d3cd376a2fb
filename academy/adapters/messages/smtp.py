"""Sends messages as e-mails by SMTP, many on one connection.

The server's answer decides the outcome. If the connection fails before the command DATA, the message was
certainly not accepted. If it fails later, but before the server has answered the text, the outcome is unknown.
"""

import re
import smtplib
import ssl
import textwrap
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    Outgoing,
    ProviderUnavailableError,
)

RECIPIENT = "{recipient}"
SUBJECT_LETTERS = 60
_OK, _WILL_FORWARD, _CLOSING, _FOR_GOOD = 250, 251, 421, 500
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_SEVEN_BITS = SMTP.clone(cte_type="7bit")


class SmtpProvider:
    """A Provider that sends e-mails. `to` is the template of an address, such as `{recipient}@sms.example.com`."""

    def __init__(self, url: str, *, sender: str, to: str, timeout: float) -> None:
        self._url = urlsplit(url)
        self._sender, self._to, self._timeout = sender, to, timeout
        self._server: smtplib.SMTP | None = None

    def send(self, message: Outgoing) -> None:
        address = self._to.replace(RECIPIENT, message.recipient)
        if not _ADDRESS.fullmatch(address):
            raise MessageRefusedError(f"{address} is no e-mail address (see MESSAGE_SMTP_TO).")
        server = self._begin()
        self._name_recipient(server, address)
        self._hand_over(server, self._email(message, address).as_bytes(policy=_SEVEN_BITS))

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _begin(self) -> smtplib.SMTP:
        """Begin an e-mail, and return its connection: the present connection if it still works, else a new one."""
        if self._server is not None:
            with suppress(smtplib.SMTPException, OSError):
                if self._server.mail(self._sender)[0] == _OK:
                    return self._server
            self.close()
        try:
            self._server = server = self._connect()
            code, reply = server.mail(self._sender)
        except (smtplib.SMTPException, OSError) as problem:
            raise self._unavailable(str(problem)) from problem
        if code != _OK:
            raise self._unavailable(_sentence(code, reply))
        return server

    def _connect(self) -> smtplib.SMTP:
        host, port = self._url.hostname or "", self._url.port or 0
        context = ssl.create_default_context()
        if self._url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=self._timeout)
        try:
            self._secure_and_log_in(server, context)
        except BaseException:
            server.close()
            raise
        return server

    def _secure_and_log_in(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        server.ehlo()
        secured = self._url.scheme == "smtps"
        if not secured and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
            secured = True
        if self._url.username:
            if not secured:
                raise smtplib.SMTPNotSupportedError("it offers no STARTTLS, and a password is not sent in the clear")
            server.login(unquote(self._url.username), unquote(self._url.password or ""))

    def _name_recipient(self, server: smtplib.SMTP, address: str) -> None:
        try:
            code, reply = server.rcpt(address)
            if code not in {_OK, _WILL_FORWARD, _CLOSING}:
                server.rset()
        except (smtplib.SMTPException, OSError) as problem:
            raise self._unavailable(str(problem)) from problem
        if code == _CLOSING:
            raise self._unavailable(_sentence(code, reply))
        if code not in {_OK, _WILL_FORWARD}:
            raise MessageRefusedError(f"The mail server refused {address}: {_sentence(code, reply)}")

    def _hand_over(self, server: smtplib.SMTP, content: bytes) -> None:
        try:
            code, reply = server.data(content)
        except smtplib.SMTPDataError as problem:
            code, reply = problem.smtp_code, _bytes(problem.smtp_error)
        except (smtplib.SMTPException, OSError) as problem:
            self.close()
            raise OutcomeUnknownError(str(problem)) from problem
        if code >= _FOR_GOOD:
            raise MessageRefusedError(f"The mail server refused the message: {_sentence(code, reply)}")
        if code != _OK:
            raise self._unavailable(_sentence(code, reply))

    def _email(self, message: Outgoing, address: str) -> EmailMessage:
        email = EmailMessage(policy=_SEVEN_BITS)
        email["From"], email["To"], email["Date"] = self._sender, address, formatdate(localtime=True)
        email["Message-ID"] = f"<{message.key}@{self._sender.rpartition('@')[2]}>"
        email["Subject"] = textwrap.shorten(message.text.strip().splitlines()[0], SUBJECT_LETTERS, placeholder="…")
        email.set_content(message.text)
        return email

    def _unavailable(self, reason: str) -> ProviderUnavailableError:
        self.close()
        return ProviderUnavailableError(f"The mail server {self._url.hostname} took no message: {reason}")


def _sentence(code: int, reply: bytes) -> str:
    return f"{code} {' '.join(reply.decode('utf-8', 'replace').split())}"


def _bytes(reply: bytes | str) -> bytes:
    return reply.encode() if isinstance(reply, str) else reply
