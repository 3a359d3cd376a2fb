"""Tests of `python -m realtime.conformance`: right clients pass all sessions, wrong ones fail where they should."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.home import PROJECT
from realtime.conformance import __main__ as runner
from realtime.conformance.__main__ import SESSIONS
from realtime.conformance.links import EventsLink, SocketLink
from realtime.conformance.schemas import SENT_BY_SERVER, fault_of
from realtime.conformance.sections import Section
from realtime.conformance.session import judge
from realtime.conformance.verdicts import Verdict

TOOLS = PROJECT / "realtime" / "conformance"
EXAMPLE = TOOLS / "example_client.py"
NODE = Path(sys.prefix) / "bin" / "node"
NOT_AS_DESCRIBED = {"novelties"}
"""The session whose frames have fields that the protocol document does not describe."""
PATIENCE_WITH_WRONG_CLIENTS = 25.0
"""Long enough for all these clients to start at the same time on a busy machine."""


async def judged(names: list[str], *command: str | Path) -> dict[str, Verdict]:
    """Run these sessions at the same time. Return their verdicts."""
    words = [str(word) for word in command]
    verdicts = await asyncio.gather(*(judge(SESSIONS[name], words) for name in names))
    return {verdict.name: verdict for verdict in verdicts}


def failures(verdicts: dict[str, Verdict]) -> str:
    return "\n".join(verdict.as_text() for verdict in verdicts.values() if not verdict.ok)


@pytest.mark.slow
async def test_the_javascript_client_passes_all_sessions() -> None:
    assert NODE.exists(), "There is no Node in .venv: run script/test, which installs it."
    verdicts = await judged(list(SESSIONS), NODE, TOOLS / "node_client.mjs")
    assert failures(verdicts) == ""


@pytest.mark.slow
async def test_the_example_passes_all_sessions_of_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    for link in (SocketLink, EventsLink):
        write = link._write

        async def kept(self: Any, frame: Any, write: Any = write) -> None:
            sent.append(frame)
            await write(self, frame)

        monkeypatch.setattr(link, "_write", kept)
    names = [name for name, scripted in SESSIONS.items() if scripted.needs == ("websocket",)]
    verdicts = await judged(sorted(set(names) - NOT_AS_DESCRIBED), sys.executable, EXAMPLE)
    assert failures(verdicts) == ""
    assert [fault for frame in sent if (fault := fault_of(frame, SENT_BY_SERVER))] == []
    assert failures(await judged(sorted(NOT_AS_DESCRIBED), sys.executable, EXAMPLE)) == ""


@dataclass(frozen=True)
class Fault:
    """A change that makes the example wrong, the session that is meant for it, and the check that fails there."""

    name: str
    old: str
    new: str
    session: str
    expected: str
    section: Section


FAULTS = [
    Fault(
        "it ignores retry_after_ms",
        'self.closing.get("retry_after_ms", 0) / 1000',
        "0.0",
        "close-1012",
        "The client waits at least 2 s before it connects again.",
        Section.CODES,
    ),
    Fault(
        "it keeps doubtful records",
        "set(self.records) - self.shown",
        "set()",
        "doubtful",
        "The client asks by name for job:ended, job:failed, job:gone, job:older.",
        Section.CLIENT,
    ),
    Fault(
        "it takes a part of a snapshot for the whole",
        'if not frame["more"]:',
        "if True:",
        "parts",
        "A part of a snapshot does not show what is absent: the client keeps all topics, and asks for none.",
        Section.SERVER_FRAMES,
    ),
    Fault(
        "it forgets its place",
        "?topics=*&since={self.place}",
        "?topics=*",
        "gap",
        "The client reconnects with the place of the last frame that had one: 5f0c2a91.9.09b9265b.",
        Section.PLACES,
    ),
    Fault(
        "it compares offsets of two epochs",
        "order(record) >= order(held)",
        '(*order(record), record["offset"]) >= (*order(held), held["offset"])',
        "new-epoch",
        "The client shows exactly: job:a PROCESSING (offset 1), job:b DONE (offset 2).",
        Section.FOLD,
    ),
    Fault(
        "it is live before the snapshot",
        'elif frame["type"] == "delayed" or "place" in frame:',
        'if frame["type"] != "closing":',
        "first-snapshot",
        "The client is not live before the first snapshot.",
        Section.CLIENT,
    ),
    Fault(
        "it answers no pings",
        """socket.send('{"type": "pong"}')""",
        "pass",
        "pings",
        "The client answers each ping with a pong.",
        Section.SERVER_FRAMES,
    ),
    Fault(
        "it never gives up",
        "if code in range(4400, 4500):",
        "if code is None:",
        "close-4410",
        "The client says stopped.",
        Section.CODES,
    ),
    Fault(
        "it forgets what it asked for",
        'if not frame["recovered"]:\n                    self.doubtful = set(self.records)',
        'if True:\n                    self.doubtful = set() if frame["recovered"] else set(self.records)',
        "asked-again",
        "The client asks by name for job:gone.",
        Section.CLIENT,
    ),
    Fault(
        "it asks for all at once",
        "[:100]",
        "[:]",
        "many-doubtful",
        "The client keeps to the protocol.",
        Section.CLIENT_FRAMES,
    ),
    Fault(
        "it asks without a pause",
        "time.sleep(0.25)",
        "pass",
        "pace",
        "The client keeps to the protocol.",
        Section.LIMITS,
    ),
]


@pytest.fixture(scope="module")
def verdicts_on_wrong_clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """Judge each wrong client in the session that is meant for its fault, and return the verdicts.

    Judge them at the same time, except the one whose only fault is that it is too fast.
    """
    text = EXAMPLE.read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("clients")

    async def judge_wrong(fault: Fault) -> Verdict:
        assert text.count(fault.old) == 1
        wrong = folder / f"{fault.session}.py"
        wrong.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        return await judge(SESSIONS[fault.session], [sys.executable, str(wrong)], PATIENCE_WITH_WRONG_CLIENTS)

    async def judge_all() -> list[Verdict]:
        fast = [fault for fault in FAULTS if fault.session == "pace"]
        others = await asyncio.gather(*(judge_wrong(fault) for fault in FAULTS if fault not in fast))
        return [*others, *[await judge_wrong(fault) for fault in fast]]

    return {verdict.name: verdict for verdict in asyncio.run(judge_all())}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_client_with_one_fault_fails_in_the_session_that_is_meant_for_it(
    fault: Fault, verdicts_on_wrong_clients: dict[str, Verdict]
) -> None:
    verdict = verdicts_on_wrong_clients[fault.session]
    failed = [check for check in verdict.checks if not check.ok]
    assert [(check.expected, check.section) for check in failed] == [(fault.expected, fault.section)], verdict.as_text()


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "realtime.conformance", *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_command_says_of_each_session_what_was_expected_what_came_and_where_the_protocol_says_so() -> None:
    done = run("--only", "first-snapshot,close-4401", "--", sys.executable, EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "      A new client has no place. Came: since None. [Places]\n" in done.stdout
    assert "      The client reports the code 4401. Came: code 4401. [Close codes]\n" in done.stdout
    assert done.stderr == f"2 of 2 passed, {len(SESSIONS) - 2} not run.\n"


def test_the_command_fails_and_shows_what_happened_if_the_client_does() -> None:
    program = "import sys; print('{\"state\": \"live\"}', flush=True); sys.exit('no such server')"
    done = run("--only", "pings", "--json", "--", sys.executable, "-c", program)
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    assert verdict["ok"] is False
    assert verdict["checks"][-1]["came"] == "The client ended with the exit code 1."
    assert verdict["errors"] == "no such server"
    assert "state live" in verdict["timeline"][0]


def test_a_line_that_is_neither_a_record_nor_a_state_fails_the_session() -> None:
    done = run("--only", "pings", "--", sys.executable, "-c", "print('hello'); input(); input()")
    assert done.returncode == 1
    assert "A line of the client is neither a record nor a state: b'hello\\n'" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "none", "--", "client"], "none is none of first-snapshot, fold"),
        (["--transports", "smoke", "--", "client"], "smoke is none of websocket, events, polls."),
        ([], "Say how to start the client"),
        (["--", "/no/such/client"], "The client could not be started"),
    ],
)
def test_wrong_options_get_a_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = runner.main(words)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert sentence in capsys.readouterr().err
