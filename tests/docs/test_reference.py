"""Tests that the reference pages agree with the code in each variable, endpoint, close code, key, command and limit."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver
from pydantic_core import PydanticUndefined

from academy.adapters.excel.errors import ERRORS_BY_CODE, TooManyRowsError, WorkbookError, WorkbookTooLargeError
from academy.adapters.excel.kinds import check_upload
from academy.adapters.excel.limits import MAX_COLUMNS, MAX_FILE_BYTES, MAX_LINES, MAX_ROWS
from academy.adapters.video import sample
from academy.adapters.video.errors import VideoError
from academy.domain.roles import EVERYONE, FACULTY, OFFICE, Role
from academy.domain.student_rows import ProblemCode
from apps.core.topic_rules import MAX_NAMED_TOPICS
from apps.worker.video_worker.encoding import STEPS
from config.environment import Environment
from config.postgresql import OLDEST_POSTGRES
from embedded import up
from embedded.home import PROJECT
from harness.asyncapi import resolve
from realtime.connect import connection, link_health, tickets
from realtime.feed import hub, unreceived_bytes
from realtime.protocol import frames
from realtime.protocol.close_codes import REASONS, CloseCode
from realtime.records import keys, record, topics
from realtime.redis.oldest_version import OLDEST_REDIS
from realtime.web import client_frames
from tests.docs.pages import page

ENVIRONMENT = page("docs/reference/environment.md")
HTTP = page("docs/reference/http.md")
PROTOCOL = page("docs/reference/realtime-protocol.md")
KEYS = page("docs/reference/redis-keys.md")
COMMANDS = page("docs/reference/commands.md")
README = page("README.md")
GLOSSARY = page("docs/reference/glossary.md")


def bare(cell: str) -> str:
    return cell.strip("`")


# The oldest versions on which the product runs.


def test_the_oldest_versions_are_those_of_the_code_wherever_a_page_names_them() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    redis = ".".join(map(str, OLDEST_REDIS))
    oldest = {row[0]: row[1] for row in page("docs/README.md").rows("needs")}
    assert f">={oldest['Python']}," in project["requires-python"]
    assert (oldest["PostgreSQL"], oldest["Redis"]) == (str(OLDEST_POSTGRES), redis)
    servers = page("docs/how-to/use-existing-servers.md").text
    assert re.findall(r"\[Version ([\d.]+) or later", servers) == [str(OLDEST_POSTGRES), redis]
    assert f"a Redis ({redis} or later, or Valkey)" in page("examples/minimal/README.md").text


# Environment variables.


def test_every_field_of_the_environment_is_a_variable_of_the_page_and_nothing_else() -> None:
    named = [bare(row[0]) for row in ENVIRONMENT.rows("variable")]
    assert named == [name.upper() for name in Environment.model_fields]


@pytest.mark.parametrize(("variable", "default"), [row[:2] for row in ENVIRONMENT.rows("variable")])
def test_the_default_of_a_variable_is_the_one_of_the_page(variable: str, default: str) -> None:
    real = Environment.model_fields[bare(variable).lower()].default
    if real is PydanticUndefined:
        assert default.startswith("none: has to be set")
    elif real is None:
        assert default == "none"
    else:
        text = ",".join(real) if isinstance(real, list) else f"{real:g}" if isinstance(real, float) else str(real)
        assert default == (f"`{text}`" if text else "empty")


def test_the_limits_of_a_variable_are_those_of_the_code() -> None:
    meanings = {bare(row[0]): row[2] for row in ENVIRONMENT.rows("variable")}
    assert "1 to 200" in meanings["DATABASE_POOL_SIZE"]
    assert "1 to 10,000" in meanings["REALTIME_RECENT_TERMINAL"]
    metadata = {name: str(field.metadata) for name, field in Environment.model_fields.items()}
    assert "le=200" in metadata["database_pool_size"]
    assert "le=10000" in metadata["realtime_recent_terminal"]


# HTTP.

METHODS = ("get", "post", "put", "patch", "delete")
WITHOUT_ROLES = {
    "/api/v1/realtime/ticket/": ("POST", EVERYONE),
    "/api/v1/realtime/snapshot/": ("GET", None),
    "/media/hls/{signed}/{name}": ("GET", None),
    "/api/v1/schema/": ("GET", None),
    "/metrics": ("GET", None),
    "/": ("GET", None),
    "/jobs/{job}": ("GET", None),
    "/lectures": ("GET", None),
    "/lectures/{lecture}": ("GET", None),
    "/messages": ("GET", None),
    "/messages/{message}": ("GET", None),
    "/my": ("GET", None),
    "/people": ("GET", None),
    "/people/{user}": ("GET", None),
    "/videos": ("GET", None),
    "/videos/{video}": ("GET", None),
    "/students": ("GET", None),
    "/students/{student}": ("GET", None),
    "/operations": ("GET", None),
    "/students/import": ("GET", None),
    "/students/removed": ("GET", None),
    "/healthz": ("GET", None),
    "/readyz": ("GET", None),
}


def endpoints(resolver: Any = None, before: str = "/") -> Iterator[tuple[str, str, frozenset[Role] | None]]:
    """Yield the method, the path and the roles (None for anyone) of every endpoint."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = before + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from endpoints(entry, path)
        elif isinstance(entry, URLPattern):
            view = getattr(entry.callback, "view_class", None)
            if view is None:
                method, roles = WITHOUT_ROLES[path]
                yield method, path, roles
                continue
            for method in METHODS:
                if hasattr(view, method):
                    allowed = getattr(view, "roles", {}).get(method.upper(), ())
                    yield method.upper(), path, frozenset(allowed) if view.permission_classes else None


def roles_of(cell: str) -> frozenset[Role] | None:
    if cell == "anyone":
        return None
    words = {"office": OFFICE, "faculty": FACULTY, "everyone": EVERYONE}
    return frozenset[Role]().union(*(words.get(word) or {Role(word)} for word in cell.split(", ")))


def test_every_endpoint_is_in_the_page_with_its_roles_and_nothing_else() -> None:
    shown = [(bare(method), bare(path), roles_of(who)) for method, path, who, _ in HTTP.rows("method")]
    assert len(shown) == len(set(shown))
    assert set(shown) == set(endpoints())


def test_every_reason_for_which_a_workbook_or_a_row_is_refused_is_in_the_page() -> None:
    codes = {bare(row[0]) for row in HTTP.rows("code")}
    assert codes - {"lecture_missing", "dead_letter"} == set(ERRORS_BY_CODE)
    assert all(f"`{code}`" in HTTP.prose for code in ProblemCode)


def test_every_reason_for_which_a_video_fails_is_in_the_page() -> None:
    codes = {bare(row[0]) for row in HTTP.rows("a video's code")}
    assert codes - {"dead_letter", "quota_encoding"} == {
        VideoError.code,
        *(kind.code for kind in VideoError.__subclasses__()),
    }


def test_the_steps_of_an_encoding_are_those_of_the_page() -> None:
    (sentence,) = re.findall(r"The steps are (.*?)\.", HTTP.prose)
    assert tuple(re.findall(r"`(\w+)`", sentence)) == STEPS


CODE_AT = {
    "ApiError": 1,
    "AuthenticationFailed": 1,
    "PermissionDenied": 1,
    "JobStateError": 0,
    "QuotaError": 0,
    "error": 1,
    "error_answer": 1,
}
"""For each of these exceptions and functions, the index of the argument that is an error code."""


def error_codes(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    yield from re.findall(r'(?<!log\.warning\()"([a-z]+_unavailable)"', text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CODE_AT:
            arguments = node.args[CODE_AT[node.func.id] :]
            if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
                yield arguments[0].value


@pytest.mark.parametrize(("name", "size"), [("list.pdf", 1), ("list.xlsx", 0), ("list.xlsx", MAX_FILE_BYTES + 1)])
def test_every_code_with_which_an_upload_is_refused_at_once_is_in_the_page(name: str, size: int) -> None:
    with pytest.raises(WorkbookError) as refused:
        check_upload(name, size)
    status = "413" if isinstance(refused.value, WorkbookTooLargeError) else "400"
    (codes,) = [row[1] for row in HTTP.rows("status") if row[0] == status]
    assert f"`{refused.value.code}`" in codes


def test_the_limits_of_a_workbook_are_those_of_the_page() -> None:
    (means,) = [row[1] for row in HTTP.rows("code") if bare(row[0]) == "too_many_rows"]
    assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d", means)] == [
        MAX_ROWS,
        MAX_LINES,
        MAX_COLUMNS,
    ]
    assert f"at most {MAX_ROWS:,} rows of students and {MAX_COLUMNS} columns" in str(TooManyRowsError())


def test_every_error_code_of_the_api_is_in_the_page() -> None:
    files = [file for folder in ("apps", "academy", "realtime") for file in (PROJECT / folder).rglob("*.py")]
    found = {code for file in files for code in error_codes(file)}
    assert {"job_not_failed", "tenant_mismatch", "bad_topic", "redis_unavailable", "same_password"} <= found
    named = set(re.findall(r"`(\w+)`", " ".join(row[1] for row in HTTP.rows("status"))))
    assert found - named == set()


# The protocol.


def test_every_close_code_is_in_the_page_with_its_reason_and_nothing_else() -> None:
    shown = {int(row[0]): row[1] for row in PROTOCOL.rows("code")}
    assert shown == {int(code): reason for code, reason in REASONS.items()}


def test_every_close_code_is_sent() -> None:
    files = [file for file in (PROJECT / "realtime").rglob("*.py") if file.name != "close_codes.py"]
    used = set(re.findall(r"CloseCode\.([A-Z_]+)", " ".join(file.read_text(encoding="utf-8") for file in files)))
    assert used == set(CloseCode.__members__)


def codes_of_error_frames() -> Iterator[str]:
    """Yield the codes with which the server refuses a frame.

    In the source, a call or a tuple contains such a code, and after it the sentence that explains the refusal.
    """
    for module in (client_frames, connection):
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))):
            words = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
            for before, _sentence in pairwise(words):
                yield from (
                    found.value
                    for found in ast.walk(before)
                    if isinstance(found, ast.Constant)
                    and isinstance(found.value, str)
                    and re.fullmatch("[a-z]+_[a-z_]+|unavailable", found.value)
                )


def test_every_code_of_an_error_frame_is_in_the_page() -> None:
    section = PROTOCOL.text[PROTOCOL.text.index("The frame with this `id` was refused") :]
    named = set(re.findall(r"`(\w+)`", section[: section.index("```")])) - {"id"}
    described = set(resolve("#/components/schemas/error/properties/code/enum"))
    assert set(codes_of_error_frames()) == named == described


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("a ticket", [tickets.MAX_TICKET_BYTES, tickets.CONNECT_SECONDS]),
        ("topics of one connection", [topics.MAX_TOPICS]),
        ("topics that a student or parent names", [MAX_NAMED_TOPICS]),
        ("a frame from the client", [frames.MAX_FRAME_BYTES]),
        ("frames from the client", [client_frames.FRAMES_A_SECOND, client_frames.FRAMES_BURST]),
        ("frames answered with `error`", [client_frames.MAX_BAD_FRAMES]),
        ("pings without a pong", [connection.MAX_PINGS_UNANSWERED]),
        ("time to read the feed for a new connection", [int(hub.JOIN_SECONDS)]),
        ("a record", [record.MAX_RECORD_BYTES]),
        ("what is known of revocations, while Redis does not answer", [int(link_health.HEARD_SECONDS)]),
        ("what waits for a slow client", [unreceived_bytes.MAX_BUFFER_BYTES]),
    ],
)
def test_a_limit_of_the_protocol_is_the_one_of_the_page(what: str, numbers: list[int]) -> None:
    limits = {row[0]: row[1] for row in PROTOCOL.rows("what")}
    assert set(map(str, numbers)) <= set(re.findall(r"\d+", limits[what]))


# Redis keys, commands and the glossary.


def test_every_redis_key_is_in_the_page_and_nothing_else() -> None:
    shown = {bare(row[0]) for row in KEYS.rows("key")}
    made = keys.Keys()
    per_topic = {made.status(7, "job:42"), made.progress(7, "job:42")}
    per_tenant = {make(7) for make in (made.feed, made.index, made.terminal, made.fence, made.leases, made.revoked)}
    filled = {key.replace("{tenant_id}", "7").replace("{topic}", "job:42") for key in shown}
    others = (made.relay, made.settling, made.writable, made.unwritten)
    of_figures = (made.reports, made.watched, made.measurer, made.memory, made.memory_noted)
    assert filled == per_topic | per_tenant | {make() for make in (*others, *of_figures)}


def test_the_help_of_script_up_is_the_one_of_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        up.main(["--help"])
    assert capsys.readouterr().out == COMMANDS.fenced("text")[0]


def test_the_help_of_script_test_is_the_one_of_the_page() -> None:
    lines = (PROJECT / "script" / "test").read_text(encoding="utf-8").splitlines()
    shown = COMMANDS.fenced("text")[1].splitlines()
    assert [line.removeprefix("#").removeprefix(" ") for line in lines[1 : 1 + len(shown)]] == shown
    assert not lines[1 + len(shown)].startswith("#")


def test_the_readme_says_what_script_test_may_change_outside_the_folder() -> None:
    installs = "apt-get" in (PROJECT / "embedded" / "chromium.py").read_text(encoding="utf-8")
    claim = README.prose[README.prose.index("outside the project's\nfolder") :].split("\n\n")[0]
    assert installs == ("`apt-get`" in claim)


@pytest.mark.parametrize(("script", "begins"), [("manage", "Runs manage.py"), ("bench", "Measures the speed")])
def test_the_help_of_these_scripts_is_the_one_of_the_page(script: str, begins: str) -> None:
    (shown,) = [text for text in COMMANDS.fenced("text") if text.startswith(begins)]
    comment = takewhile(lambda line: line.startswith("#"), script_lines(script)[1:])
    assert [line.removeprefix("#").removeprefix(" ") for line in comment] == shown.splitlines()


def test_the_help_of_script_sample_video_is_the_one_of_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["sample.py", "--help"])
    with pytest.raises(SystemExit):
        sample.main()
    (shown,) = [text for text in COMMANDS.fenced("text") if "sample-video" in text]
    assert capsys.readouterr().out == shown


def script_lines(name: str) -> list[str]:
    return (PROJECT / "script" / name).read_text(encoding="utf-8").splitlines()


def test_every_command_of_manage_py_that_is_ours_is_in_the_page() -> None:
    ours = {name for name, app in get_commands().items() if app.partition(".")[0] in {"apps", "realtime", "academy"}}
    assert {bare(row[0]) for row in COMMANDS.rows("command")} == ours


def test_the_glossary_stands_in_the_order_of_letters_and_explains_each_word_once() -> None:
    words = [row[0] for row in GLOSSARY.rows("word")]
    assert all(before < after for before, after in pairwise(words))
