"""Which provider: what the settings say."""

from pathlib import Path

from django.conf import settings

from academy.adapters.messages.folder import FolderProvider
from academy.adapters.messages.http_gateway import HttpProvider
from academy.adapters.messages.provider import Provider
from academy.adapters.messages.smtp import SmtpProvider

TIMEOUT_SECONDS = 10.0
"""How long one step with a provider may take; well within the time that a worker has to stop."""


def open_provider() -> Provider:
    """The provider of `MESSAGE_PROVIDER`, to be closed. Nothing is connected before the first message."""
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
