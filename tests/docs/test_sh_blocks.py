"""Runs the shell blocks of the documentation, or compares their lines with the programs that they call.

Complete runs of `script/up` and `script/test` are tested in `tests/embedded/`.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from config.environment import Environment
from embedded import up
from embedded.home import PROJECT
from embedded.plan import Plan, Web
from embedded.ports import answers
from harness.servers import SECRET
from harness.system import System
from tests.docs.claims import claimed_by
from tests.docs.pages import blocks, page
from tests.docs.scripts import run_shell, write_run_files
from tests.embedded.runs import eventually

NOTHING_RUNS = 3
PYTEST_OPTIONS = {"-x", "-q"}


def lines_of(name: str) -> list[list[str]]:
    return [shlex.split(line) for line in blocks()[name].splitlines()]


def variables_of(words: list[str]) -> dict[str, str]:
    """Return the variables that `NAME=value` sets, before a command or after `export`."""
    pairs = (word.partition("=") for word in words if word.partition("=")[0].isupper() and "=" in word)
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("name", claimed_by("test_lines_of_script_up_are_understood"))
def test_lines_of_script_up_are_understood(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in lines_of(name):
        variables = variables_of(words)
        known = {variable.lower(): value for variable, value in variables.items() if variable != "ACADEMY_HOME"}
        assert known.keys() <= Environment.model_fields.keys()
        Environment.model_validate({"secret_key": SECRET} | known)
        command = [word for word in words if word != "export" and word.partition("=")[0] not in variables]
        if command:
            monkeypatch.setenv("ACADEMY_HOME", str(tmp_path))
            assert command[0] == "script/up"
            assert up.main([*command[1:], "--status"]) == NOTHING_RUNS


@pytest.mark.parametrize("name", claimed_by("test_lines_of_script_test_are_understood"))
def test_lines_of_script_test_are_understood(name: str) -> None:
    script = (PROJECT / "script" / "test").read_text(encoding="utf-8")
    for command, *options in lines_of(name):
        assert command == "script/test"
        for option in options:
            assert option in PYTEST_OPTIONS or (PROJECT / option).exists() or f"= {option} " in script


def test_the_lines_for_the_newest_django_name_what_there_is() -> None:
    """To run the lines takes minutes and a network, so the test only checks that the paths and the variable exist."""
    (name,) = claimed_by("test_the_lines_for_the_newest_django_name_what_there_is")
    _environment, install, run = lines_of(name)
    assert (PROJECT / install[-1]).is_file()
    assert variables_of(run).keys() == {"MINIMAL_PYTHON"}
    assert "MINIMAL_PYTHON" in (PROJECT / run[-1]).read_text(encoding="utf-8")


def test_the_screenshots_script_takes_an_address() -> None:
    (name,) = claimed_by("test_the_screenshots_script_takes_an_address")
    ((script, _address),) = lines_of(name)
    assert "[address]" in subprocess.check_output([sys.executable, script, "--help"], cwd=PROJECT, text=True)


def test_script_manage_reaches_the_embedded_system_as_shown(system: System, tmp_path: Path) -> None:
    block, home = blocks()["docs/reference/commands.md#sh-2"], {"ACADEMY_HOME": str(tmp_path)}
    assert run_shell(block, home).stderr == f"script/manage: Nothing runs in {tmp_path}: start script/up first.\n"
    write_run_files(system, tmp_path)
    done = run_shell(block, home)
    assert done.returncode == 0, done.stderr
    assert "[X] 0001_initial" in done.stdout


@pytest.mark.parametrize("name", claimed_by("test_a_secret_key_is_made_as_shown"))
def test_a_secret_key_is_made_as_shown(name: str) -> None:
    *copies, command = blocks()[name].splitlines()
    assert copies in ([], ["cp .env.example .env"])
    assert (PROJECT / ".env.example").exists()
    done = run_shell(command, {})
    Environment.model_validate({"secret_key": done.stdout.strip()})


def test_a_wrong_value_gets_the_sentence_that_is_shown(tmp_path: Path) -> None:
    text = blocks()["docs/how-to/configure.md#sh-3"].replace("script/up", "python -m embedded.up")
    done = run_shell(text, {"ACADEMY_HOME": str(tmp_path)})
    (sentence,) = page("docs/how-to/configure.md").fenced("text")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_processes_are_started_by_hand_as_script_up_starts_them() -> None:
    lines = lines_of("docs/how-to/use-existing-servers.md#sh-2")
    told = {
        name.lower(): value for words in lines if words[0] == "export" for name, value in variables_of(words).items()
    }
    assert told.keys() >= {"secret_key", "database_url", "redis_url"}
    assert told.keys() <= Environment.model_fields.keys()
    Environment.model_validate(told | {"secret_key": SECRET})
    commands = [words for words in lines if words[0] != "export"]
    workers = [list(argv[1:]) for argv in Plan().workers.values()]
    *steps, web = commands[: -len(workers)]
    assert {words[words[0].startswith("PROCESS_NAME")] for words in commands} == {".venv/bin/python"}
    planned = [list(step.argv[1:]) for step in Plan().steps if not step.demo]
    assert [words[1:] for words in steps] == planned
    assert web[0] == "PROCESS_NAME=web"
    assert set(web[2:]) <= set(Plan().web(8000))
    assert [words[1:] for words in commands[-len(workers) :]] == workers


def test_lines_of_docker_compose_name_what_there_is() -> None:
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    known = {"docker", "compose", "up", "down", "run", "--rm", "--build", "--detach", *compose["services"]}
    for name in claimed_by("test_lines_of_docker_compose_name_what_there_is"):
        for words in lines_of(name):
            ours = words.index("python") if "python" in words else len(words)
            assert set(words[:ours]) <= known
            assert not words[ours:] or (words[ours + 1] == "manage.py" and words[ours + 2] in get_commands())


def test_what_runs_is_asked_as_shown(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, ready = blocks()["docs/how-to/when-something-is-down.md#sh-1"].splitlines()
    monkeypatch.setenv("ACADEMY_HOME", str(tmp_path))
    assert up.main(status.split()[1:]) == NOTHING_RUNS
    done = run_shell(ready.replace("127.0.0.1:8000", system.web.where), {})
    assert done.stdout == "200 ok\n", done.stderr
    with web_without_redis(system) as web:
        done = run_shell(ready.replace("127.0.0.1:8000", web.where), {})
    assert done.stdout.startswith("503 Redis cannot be reached: "), done.stderr


@contextmanager
def web_without_redis(system: System) -> Iterator[Web]:
    """Run a web process that cannot reach its Redis. Yield the process as soon as it answers requests."""
    web = system.web_of(REDIS_URL="redis://127.0.0.1:1/0")
    web.start()
    try:
        eventually(lambda: answers(web.port), "the web process")
        yield web
    finally:
        web.stop()


@pytest.mark.parametrize("name", claimed_by("test_commands_of_manage_py_exist"))
def test_commands_of_manage_py_exist(name: str) -> None:
    for program, *words in lines_of(name):
        command, *options = words if program == "script/manage" else words[1:]
        assert program == "script/manage" or (program, words[0]) == (".venv/bin/python", "manage.py")
        shown = load_command_class(get_commands()[command], command).create_parser("manage.py", command).format_help()
        assert all(option in shown for option in options if option.startswith("--"))
