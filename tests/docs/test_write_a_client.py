"""Tests that the page "Write your own client" describes the conformance tools as they are."""

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from embedded.home import PROJECT
from realtime.conformance import __main__ as runner
from realtime.conformance import server
from realtime.conformance.__main__ import SESSIONS
from realtime.conformance.client_process import STATES, ClientProcess
from realtime.conformance.sections import Section
from realtime.conformance.server_checks import SERVER_CHECKS, ServerCheck
from realtime.conformance.session import Scripted
from tests.docs.pages import blocks, page

PAGE = "docs/how-to/write-a-client.md"
PROTOCOL = "docs/reference/realtime-protocol.md"


def test_the_runner_understands_the_lines_of_the_page() -> None:
    for line in blocks()[f"{PAGE}#sh-1"].splitlines():
        _python, _option, module, *words = shlex.split(line)
        assert module == "realtime.conformance"
        program, client = runner.parsed(words).command
        assert program in {".venv/bin/python", ".venv/bin/node"}
        assert (PROJECT / client).is_file()


def test_the_judge_of_servers_understands_the_line_of_the_page() -> None:
    _python, _option, module, *words = shlex.split(blocks()[f"{PAGE}#sh-2"])
    assert module == "realtime.conformance.server"
    assert server.parsed(words).url == "http://127.0.0.1:8000"


async def test_the_runner_tells_a_client_what_is_shown(tmp_path: Path) -> None:
    shown = json.loads(blocks()[f"{PAGE}#json-1"])
    told, written = tmp_path / "told", asyncio.Event()
    keeps = ["sh", "-c", 'read -r line; echo "$line" > "$0"; echo', str(told)]
    client = ClientProcess(keeps, lambda _event: written.set())
    await client.start(shown["ticket_url"])
    await written.wait()
    await client.stop()
    assert json.loads(told.read_text(encoding="utf-8")) == shown


def test_what_a_client_writes_is_understood_as_shown() -> None:
    client = ClientProcess([], lambda _event: None)
    for line in json.loads(blocks()[f"{PAGE}#json-2"]):
        client._take(json.dumps(line).encode())
    assert client.fault is None
    assert [(line.state, line.code) for line in client.states] == [
        ("connecting", None),
        ("live", None),
        ("stopped", 4410),
    ]
    assert list(client.records) == ["job:a"]
    assert all(f"`{state}`" in page(PAGE).prose for state in STATES)


def test_every_option_of_the_runner_is_in_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.parsed(["--help"])
    told = capsys.readouterr().out
    assert all(row[0].strip("`").split()[0] in told for row in page(PAGE).rows("option"))


def test_every_session_and_check_is_in_the_page_with_the_section_that_says_so() -> None:
    tables: list[tuple[str, list[Scripted] | list[ServerCheck]]] = [
        ("session", list(SESSIONS.values())),
        ("check", list(SERVER_CHECKS.values())),
    ]
    for column, found in tables:
        wanted = [
            [
                f"`{each.name}`",
                each.title,
                f"[{each.section}](../reference/realtime-protocol.md#{anchor(each.section)})",
            ]
            for each in found
        ]
        assert page(PAGE).rows(column) == wanted


def test_every_section_that_a_verdict_can_name_is_a_heading_of_the_protocols_page() -> None:
    headings = {line.lstrip("# ") for line in page(PROTOCOL).text.splitlines() if line.startswith("#")}
    assert set(Section) <= headings


def anchor(section: Section) -> str:
    return section.lower().replace(" ", "-")
