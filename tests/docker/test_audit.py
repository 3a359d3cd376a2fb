"""Tests `script/audit` with a local database of vulnerabilities."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
KNOWN = "PYSEC-2099-1"
AFFECTED = {"django": "PyPI", "vite": "npm"}


class _Database(BaseHTTPRequestHandler):
    """A server with the interface of api.osv.dev/v1 that lists one vulnerability: of Django, and of Vite."""

    asked: list[str]
    away: str
    """Requests about this ecosystem get the error 503. If it is empty, all requests are answered."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        if self.away in {query["package"]["ecosystem"] for query in queries}:
            self.send_error(503)
            return
        self.asked += [query["package"]["name"] for query in queries]
        known = {"vulns": [{"id": KNOWN, "modified": "2026-01-01T00:00:00Z"}]}
        self._answer({"results": [known if query["package"]["name"] in AFFECTED else {} for query in queries]})

    def do_GET(self) -> None:
        events = [{"introduced": "0"}, {"fixed": "99.1"}]
        affected = [
            {
                "package": {"name": name, "ecosystem": ecosystem},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
            for name, ecosystem in AFFECTED.items()
        ]
        self._answer({"id": KNOWN, "modified": "2026-01-01T00:00:00Z", "affected": affected})

    def _answer(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(params=[""])
def database(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    """Run a stand-in for the database of vulnerabilities. The parameter of the fixture is its `away`.

    Yield its address, and the list of the packages that clients ask about.
    """
    asked: list[str] = []
    handler = type("Handler", (_Database,), {"asked": asked, "away": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def audit(url: str, ignored: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", "script/audit", "--service-url", url],
        cwd=PROJECT,
        env={**os.environ, **({"AUDIT_IGNORE_FILE": str(ignored)} if ignored else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def ignore(folder: Path, line: str) -> Path:
    file = folder / "ignored.txt"
    file.write_text(f"# a remark\n\n{line}\n", encoding="utf-8")
    return file


def test_a_vulnerability_of_a_package_is_told_with_the_version_that_mends_it(database: tuple[str, list[str]]) -> None:
    code, said = audit(database[0])
    assert code == 1, said
    assert KNOWN in said
    assert "99.1" in said
    assert {"django", "uvicorn", "pytest"} <= set(database[1]), "also what only the tests use"
    assert {"vite", "react", "@tanstack/db"} <= set(database[1]), "also the packages of package-lock.json"
    assert re.search(rf"^vite \S+: {KNOWN}\n    mended in 99.1$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("database", "lock"), [("PyPI", "uv.lock"), ("npm", "package-lock.json")], indirect=["database"]
)
def test_a_lock_that_could_not_be_checked_is_named_and_the_other_is_checked(
    database: tuple[str, list[str]], lock: str, tmp_path: Path
) -> None:
    code, said = audit(database[0])
    assert code == 1, said
    assert f"so {lock} was not checked" in said
    code, said = audit(database[0], ignore(tmp_path, f"{KNOWN} 2099-01-01 We never call it."))
    assert (code, said.count("NOT CHECKED")) == (3, 1), said


def test_one_that_does_not_concern_us_is_ignored_until_its_day(database: tuple[str, list[str]], tmp_path: Path) -> None:
    now = datetime.now(UTC)
    yesterday = f"{now - timedelta(days=1):%Y-%m-%d}"
    assert audit(database[0], ignore(tmp_path, f"{KNOWN} {now.year + 1}-01-01 We never call it."))[0] == 0
    code, said = audit(database[0], ignore(tmp_path, f"{KNOWN} {yesterday} We never call it."))
    assert code == 1
    assert f"{KNOWN} was ignored only until {yesterday}: check it again." in said


@pytest.mark.parametrize(
    ("line", "missing"), [(f"{KNOWN} We never call it.", "date"), (f"{KNOWN} 2099-01-01", "reason")]
)
def test_a_line_without_a_day_or_a_reason_is_refused(line: str, missing: str, tmp_path: Path) -> None:
    code, said = audit("http://127.0.0.1:1", ignore(tmp_path, line))
    assert code == 2
    assert f"the line of {KNOWN} has no {missing}" in said


def test_a_database_that_does_not_answer_is_no_clean_bill() -> None:
    code, said = audit("http://127.0.0.1:1")
    assert code == 3
    assert "NOT CHECKED" in said
