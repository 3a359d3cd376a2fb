"""A program that is started with wrong variables prints one sentence for each, and nothing else."""

import json
import os
import subprocess
import sys

import pytest

from embedded.home import PROJECT
from embedded.ports import free_port

SENTENCES = """\
SECRET_KEY is not set: set it in the environment (script/up makes one for the embedded system).
LOG_LEVEL is wrong: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR' (it is 'LOUD').
"""
PROGRAMS = [
    ["manage.py", "check"],
    ["manage.py", "provision"],
    ["-m", "apps.worker.ai_worker"],
    ["-m", "realtime.serve", "asgi:application", "--port", str(free_port())],
]


@pytest.mark.parametrize("words", PROGRAMS, ids=lambda words: " ".join(words[:2]))
def test_a_program_says_what_is_wrong_and_ends(words: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "LOG_LEVEL": "LOUD", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = ended.stderr if words[0] == "manage.py" else sentences_of_log(ended.stderr)
    assert (ended.returncode, ended.stdout, said) == (1, "", SENTENCES)


def sentences_of_log(text: str) -> str:
    """Return the events of a log, one a line. Each line of the log is a JSON object."""
    return "".join(f"{json.loads(line)['event']}\n" for line in text.splitlines())
