"""Writes messages as files instead of sending them, for a machine without a message provider."""

import json
import os
import tempfile
from pathlib import Path

from academy.adapters.messages.provider import Outgoing, ProviderUnavailableError


class FolderProvider:
    """A Provider that writes one JSON file for each message, named by its key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Outgoing) -> None:
        """Write the message as a whole file or not at all. Overwrite an existing file of this key."""
        content = {"key": message.key, "recipient": message.recipient, "text": message.text}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(f"{message.key}.json", json.dumps(content, ensure_ascii=False, indent=2))
        except OSError as problem:
            raise ProviderUnavailableError(
                f"The folder {self._folder} cannot be written to: {problem.strerror}."
            ) from problem

    def close(self) -> None:
        """Do nothing, because no file is kept open."""

    def _write(self, name: str, text: str) -> None:
        number, draft = tempfile.mkstemp(prefix=".draft-", dir=self._folder)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._folder / name)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
