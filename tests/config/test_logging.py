"""Every line of a log is a JSON object with time, level and event, even if Python or a library writes the line."""

import json
import subprocess
import sys
from typing import Any

import pytest

from embedded.home import PROJECT

BEGIN = "from config.logging import log_everything; log_everything()\n"
WARNS = "import warnings; warnings.warn('careful\\nwith that')"
RAISES = "raise ValueError('no\\nway')"
IN_THREAD = "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"
IN_FINALIZER = "class Bad:\n    def __del__(self): raise ValueError('late')\nBad()"
NEVER_RETRIEVED = """
import asyncio
async def fail(): raise ValueError("unseen")
async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
asyncio.run(main())
"""
CANNOT_BE_FORMATTED = "import logging; logging.getLogger('any').warning('%d pupils', 'many')"
UVICORN = """
import logging, uvicorn
from django.conf import settings
import config.logging as ours
uvicorn.Config("asgi:application")  # sets up a log of its own
ours.configure(ours.logging_settings("INFO"))
for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
    logging.getLogger(name).warning("of %s", name)
"""
SURROGATE = "import logging; logging.getLogger('any').warning('name \\udc80')"


def log_of(code: str) -> tuple[int, list[dict[str, Any]]]:
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + code], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == ""
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.parametrize(
    ("code", "level", "said"),
    [
        (WARNS, "warning", "careful"),
        (RAISES, "critical", "ValueError: no"),
        (IN_THREAD, "error", "ZeroDivisionError"),
        (IN_FINALIZER, "error", "ValueError: late"),
        (NEVER_RETRIEVED, "error", "never retrieved"),
        (CANNOT_BE_FORMATTED, "error", "%d pupils"),
        (UVICORN, "warning", "of uvicorn"),
        (SURROGATE, "warning", "name "),
    ],
    ids=["warning", "exception", "thread", "finalizer", "task", "bad record", "uvicorn", "surrogate"],
)
def test_output_of_python_itself_becomes_a_line_of_the_log(code: str, level: str, said: str) -> None:
    status, lines = log_of(code)
    assert status == (1 if code is RAISES else 0)
    assert lines
    assert all(line["timestamp"] and line["event"] and line["level"] == level for line in lines), lines
    assert any(said in f"{line['event']} {line.get('exception', '')}" for line in lines), lines


def test_a_port_that_is_taken_becomes_a_line_of_the_log() -> None:
    code = """
import socket, sys
taken = socket.create_server(("127.0.0.1", 0))
from realtime import serve
try:
    serve.main(["config.logging:configure", "--port", str(taken.getsockname()[1])])
except SystemExit as end:
    sys.exit(end.code)
"""
    status, (line,) = log_of(code)
    assert status == 1
    assert "cannot listen at 127.0.0.1" in line["event"]
