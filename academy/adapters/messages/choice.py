"""Opens the message provider that the settings choose."""

from pathlib import Path

from django.conf import settings

from academy.adapters.messages.folder import FolderProvider
from academy.adapters.messages.http_gateway import HttpProvider
from academy.adapters.messages.provider import Provider
from academy.adapters.messages.smtp import SmtpProvider

TIMEOUT_SECONDS = 10.0
"""How long one network operation with a provider may take. It is shorter than the time between SIGTERM and
SIGKILL, so that a stopped worker can still save the outcome."""


def open_provider() -> Provider:
    """Return the provider that `MESSAGE_PROVIDER` names. It connects at the first message. The caller must close it."""
    match settings.MESSAGE_PROVIDER:
        case "smtp":
            return SmtpProvider(
                settings.MESSAGE_SMTP_URL,
                sender=settings.MESSAGE_SMTP_FROM,
                to=settings.MESSAGE_SMTP_TO,
                timeout=TIMEOUT_SECONDS,
            )
        case "http":
            return HttpProvider(
                settings.MESSAGE_HTTP_URL or "", token=settings.MESSAGE_HTTP_TOKEN, timeout=TIMEOUT_SECONDS
            )
        case _:
            return FolderProvider(Path(settings.MESSAGE_FOLDER))
