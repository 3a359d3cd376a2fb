"""Writes files atomically, and with a mode that lets only their owner read them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def private_text(file: Path, text: str) -> None:
    """Write `file` (mode 0600) so that a reader sees either the old text or the new one, never a part."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    aside.replace(file)
