"""How `script/up` starts, watches, ends and restarts processes. The servers are real, the product is a stand-in."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from embedded import RedisServer, process, runfile, scratch_folder
from embedded.home import Home
from embedded.plan import WORKERS
from embedded.ports import free_port
from embedded.up import END_SECONDS, main
from tests.embedded.runs import PATIENCE, STAND_IN, Run, eventually, wait_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Up = Callable[..., Run]

PROMISED_END_SECONDS = 10.0
ALL = 4 + len(WORKERS)


def _redis_at(run: Run) -> RedisServer:
    """Return the run's Redis as an external server: this object sends commands, but does not own the process."""
    return RedisServer(run.home / "stranger", external=run.run_file()["redis"]["url"])


def _run_up(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `script/up` until it ends by itself, and return its output and exit code."""
    return subprocess.run(
        [sys.executable, STAND_IN, *options],
        env={**os.environ, "ACADEMY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def shared() -> Iterator[Run]:
    """Yield a run that several tests share. Each of these tests leaves the run as it found it."""
    with scratch_folder("home of 학원") as folder:
        run = Run(folder)
        try:
            yield run.ready()
        finally:
            run.end_for_certain()


def _status(home: Path) -> tuple[int, str]:
    """Run `script/up --status` inside this process, and return the exit code and the output."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("ACADEMY_HOME", str(home))
        code = main(["--status"])
    return code, printed.getvalue()


def test_it_starts_everything_and_says_where_in_the_run_file(up: Up, home: Path) -> None:
    run = up(from_nothing=True).ready()
    entries = run.run_file()
    assert list(entries) == ["web", "postgres", "redis", "sqs", *WORKERS]
    assert {name: sorted(entry) for name, entry in entries.items()} == {
        "web": ["address", "pid"],
        "postgres": ["pid", "url"],
        "redis": ["pid", "url"],
        "sqs": ["address", "pid"],
        **{name: ["pid"] for name in WORKERS},
    }
    assert entries["web"]["address"] == f"http://127.0.0.1:{run.port}"
    assert len(run.processes()) == ALL
    words = {name: " ".join(process.command_line(entry["pid"])) for name, entry in entries.items()}
    assert not [name for name, line in words.items() if "child.py" in line], "a wrapper's pid"
    with urllib.request.urlopen(f"{entries['web']['address']}/readyz", timeout=PATIENCE) as answer:  # noqa: S310
        assert answer.status == 200
    modes = {name: (home / name).stat().st_mode & 0o777 for name in ("run.json", "secret_key", "processes.json")}
    assert set(modes.values()) == {0o600}
    assert sorted(log.name for log in (home / "logs").iterdir()) == [
        "ai_worker.log", "messaging_worker.log", "migrate.log", "postgres.log", "provision.log", "redis.log", "sqs.log",
        "video_worker.log", "web.log",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process(up: Up, number: signal.Signals) -> None:
    run = up().ready()
    started = run.processes()
    run.send(number)
    assert run.wait_end() == 0
    assert process.wait_gone(started, 0)
    assert not (run.home / "run.json").exists()


def test_a_process_that_does_not_end_is_killed_in_time(up: Up) -> None:
    run = up(STAND_IN_WEB="deaf").ready()
    started = run.processes()
    run.send(signal.SIGTERM)
    assert run.wait_end() == 0
    assert process.wait_gone(started, 0)
    assert END_SECONDS < PROMISED_END_SECONDS  # not measured: a busy machine may take longer


def test_ctrl_c_while_it_starts_ends_cleanly(up: Up, home: Path) -> None:
    run = up(STAND_IN_MIGRATE="slow")
    run.wait_for("Preparing the database")
    recorded = json.loads((home / "processes.json").read_text())
    run.send(signal.SIGINT)
    assert run.wait_end() == 0
    assert process.wait_gone({entry["pid"]: entry["identity"] for entry in recorded.values()}, 0)


def test_a_second_run_says_where_the_first_one_runs(shared: Run) -> None:
    second = _run_up(shared.home, "--port", str(free_port()))
    said = f"It runs already, at http://127.0.0.1:{shared.port}, in {shared.home}.\n"
    assert (second.returncode, second.stdout) == (0, said)
    assert len(shared.processes()) == ALL


def test_after_a_kill_no_process_is_left_and_the_next_run_has_the_data(up: Up) -> None:
    run = up().ready()
    started = run.processes()
    secret = (run.home / "secret_key").read_text()
    password = (run.home / "postgres" / "password").read_text()
    redis = _redis_at(run)
    assert redis.command("SET", "kept", "yes") == "+OK"
    wait_written(redis)
    run.send(signal.SIGKILL)
    run.wait_end()
    assert process.wait_gone(started, PATIENCE)
    again = up("--port", str(run.port)).ready()
    assert _redis_at(again).command("STRLEN", "kept") == ":3"
    assert (again.home / "secret_key").read_text() == secret
    assert (again.home / "postgres" / "password").read_text() == password


def test_a_leftover_process_is_ended_but_not_another_one_with_its_pid(home: Path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE) as leftover,
        subprocess.Popen(argv, stdin=subprocess.PIPE) as stranger,
    ):
        known = process.identity(leftover.pid)
        entries = {
            "web": {"pid": leftover.pid, "identity": known, "signal": signal.SIGTERM},
            "redis": {"pid": stranger.pid, "identity": "another moment", "signal": signal.SIGTERM},
        }
        (home / "processes.json").write_text(json.dumps(entries))
        said: list[str] = []
        runfile.end_leftovers(Home(home), said.append)
        assert said == [f"Ending web (pid {leftover.pid}), left over by an earlier run"]
        assert leftover.wait(PATIENCE) == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.communicate(b"")


@pytest.mark.parametrize("name", ["web", "ai_worker", "redis", "postgres", "sqs"])
def test_a_process_that_dies_is_started_again_at_the_same_port(shared: Run, name: str) -> None:
    run = shared
    before = run.run_file()
    os.kill(before[name]["pid"], signal.SIGKILL)
    run.wait_for(f"{name} (pid {before[name]['pid']}) was ended by SIGKILL; starting it again in 1 s")
    run.wait_for(f"{name} runs again")
    if name == "sqs":
        run.wait_for("Making queues")  # the emulator loses its queues when it is killed
    after = eventually(lambda: (found := run.run_file())[name]["pid"] != before[name]["pid"] and found, "the new pid")
    assert {each: entry | {"pid": 0} for each, entry in after.items()} == {
        each: entry | {"pid": 0} for each, entry in before.items()
    }
    assert [each for each in before if each != name and after[each] != before[each]] == []
    assert len(run.processes()) == ALL


def test_another_server_at_its_port_is_left_alone(up: Up) -> None:
    run = up().ready()
    pid = run.run_file()["redis"]["pid"]
    port = _redis_at(run).port
    with scratch_folder() as folder:
        os.kill(pid, signal.SIGKILL)
        theirs = RedisServer(folder, port)
        eventually(lambda: not theirs.is_taken(), "the old one to be gone")
        with theirs:
            run.wait_for(f"Another program answers at 127.0.0.1:{port} now; leaving redis to it")
            assert eventually(lambda: run.run_file()["redis"]["pid"] is None, "null in run.json")
            assert theirs.command("SET", "mine", "1") == "+OK"
        run.wait_for("redis runs again")
    assert _redis_at(run).command("EXISTS", "mine") == ":0"


def test_two_systems_run_at_the_same_time(up: Up, home: Path) -> None:
    with scratch_folder() as folder:
        one, two = up(), up(folder=folder)
        one.ready()
        two.ready()
        assert not set(one.processes()) & set(two.processes())
        one.send(signal.SIGTERM)
        assert one.wait_end() == 0
        assert len(two.processes()) == ALL
        two.end_for_certain()


def test_a_taken_port_gets_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run_up(home, "--port", str(port))
    sentence = f"script/up: Port {port} of 127.0.0.1 is taken by another program: choose another one with --port N.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", sentence)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "٣"])
def test_a_wrong_port_gets_one_sentence(port: str, home: Path) -> None:
    ended = _run_up(home, f"--port={port}")
    assert ended.returncode == 2
    assert f"argument --port: {port!r} is not a port; give a number from 1 to 65535" in ended.stderr
    assert not (home / "run.json").exists()


def test_an_unknown_option_is_refused(home: Path) -> None:
    ended = _run_up(home, "--demo")
    assert ended.returncode == 2
    assert "unrecognized arguments: --demo" in ended.stderr


def test_help_says_what_the_exit_codes_mean(home: Path) -> None:
    ended = _run_up(home, "--help")
    assert ended.returncode == 0
    assert all(word in ended.stdout for word in ("--port N", "--no-demo", "--status", "ACADEMY_HOME", "exit codes"))


def test_a_home_that_cannot_be_used_gets_one_sentence(home: Path) -> None:
    (home / "file").write_text("")
    ended = _run_up(home / "file" / "below")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"script/up: The folder {home / 'file' / 'below'} cannot be used (Not a directory): "
        "set ACADEMY_HOME to a folder that you may write to.\n"
    )


def test_a_command_that_fails_ends_all_with_the_last_lines_of_its_log(up: Up, home: Path) -> None:
    run = up(STAND_IN_MIGRATE="fail")
    assert run.wait_end() == 1
    assert f"Preparing the database failed (migrate ended with code 1); its log is {home}/logs/migrate.log:" in run.text
    assert run.text.endswith("    no such table: the moon")
    assert not (home / "processes.json").exists()


def test_a_process_that_dies_while_starting_is_reported_at_once(up: Up) -> None:
    run = up(STAND_IN_WEB="broken")
    assert run.wait_end() == 1
    assert "web ended with code 1; its log is" in run.text
    assert run.text.endswith("    no such module: the sun")


def test_an_external_server_is_used_and_has_no_pid(up: Up, home: Path) -> None:
    with RedisServer(home / "mine") as mine:
        run = up(REDIS_URL=mine.url).ready()
        assert f"redis: using the one at {mine.url}" in run.text
        assert run.run_file()["redis"] == {"pid": None, "url": mine.url}
        status = _run_up(home, "--status")
        assert (status.returncode, status_line("redis", status.stdout)) == (0, f"redis runs external {mine.url}")
        run.send(signal.SIGTERM)
        assert run.wait_end() == 0
        assert mine.is_ready()


def test_a_server_that_is_about_to_be_started_again_is_not_called_external(home: Path) -> None:
    home.mkdir(exist_ok=True)
    down = {"pid": None, "down": True, "url": "postgresql://academy:secret@127.0.0.1:1/academy"}
    (home / "run.json").write_text(json.dumps({"postgres": down}))
    status = _run_up(home, "--status")
    assert status_line("postgres", status.stdout) == "postgres does not run no process postgresql://127.0.0.1:1/academy"
    assert status.returncode == 3


def test_the_exit_code_of_status_says_what_runs(up: Up, home: Path) -> None:
    nothing = _run_up(home, "--status")
    assert (nothing.returncode, nothing.stdout) == (3, f"Nothing runs in {home}.\n")
    run = up().ready()
    everything = _run_up(home, "--status")
    assert everything.returncode == 0
    assert [line.split()[0] for line in everything.stdout.splitlines()] == list(run.run_file())
    assert (home / "postgres" / "password").read_text() not in everything.stdout
    _make_unstartable(run.home)
    os.kill(run.run_file()["postgres"]["pid"], signal.SIGKILL)
    run.wait_for("postgres (pid")

    def down() -> bool:  # otherwise it was asked while the next try to start PostgreSQL ran
        some = _run_up(home, "--status")
        assert some.returncode == 1
        return status_line("postgres", some.stdout).startswith("postgres does not run ")

    eventually(down, "PostgreSQL to be down")
    run.send(signal.SIGKILL)
    started = run.processes()
    run.wait_end()
    assert process.wait_gone(started, PATIENCE)
    assert _run_up(home, "--status").returncode == 3


def _make_unstartable(home: Path) -> None:
    """Break the configuration of PostgreSQL, so that it cannot start again after the test has killed it."""
    (home / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")


def test_status_checks_each_process_by_its_own_protocol(shared: Run) -> None:
    home = shared.home
    entries = shared.run_file()
    for name, entry in entries.items():
        with _frozen(entry["pid"]):
            if name in WORKERS:  # its status depends on the age of its ready file
                long_ago = time.time() - 3600
                os.utime(Home(home).ready_file(name), (long_ago, long_ago))
            code, table = _status(home)
        assert code == 1
        said = {each: status_line(each, table) for each in entries}
        assert said[name].startswith(f"{name} does not answer pid "), said
        assert all(line.startswith(f"{each} runs pid ") for each, line in said.items() if each != name), said
        eventually(lambda: _status(home)[0] == 0, f"{name} to work again")


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_status_distinguishes_a_server_that_refuses_from_one_that_works(shared: Run) -> None:
    entries = shared.run_file()
    clients = []
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            clients.append(psycopg.connect(entries["postgres"]["url"]))
    code, table = _status(shared.home)
    for client in clients:
        client.close()
    assert code == 1
    assert status_line("postgres", table).startswith("postgres is not ready pid ")


def test_status_checks_external_servers_too(up: Up, home: Path) -> None:
    with RedisServer(home / "mine") as mine:
        run = up(REDIS_URL=mine.url).ready()
        assert mine.pid is not None
        assert status_line("redis", _status(home)[1]) == f"redis runs external {mine.url}"
        with _frozen(mine.pid):
            code, table = _status(home)
        assert (code, status_line("redis", table)) == (1, f"redis does not answer external {mine.url}")
        run.send(signal.SIGTERM)
        assert run.wait_end() == 0


def status_line(name: str, table: str) -> str:
    """Return the line of one process in the table of `--status`, with one space between the columns."""
    (line,) = [" ".join(line.split()) for line in table.splitlines() if line.split()[0] == name]
    return line


def test_wrong_values_get_their_sentences_before_anything_is_started(home: Path) -> None:
    variables = {**os.environ, "ACADEMY_HOME": str(home), "LOG_LEVEL": "LOUD", "REDIS_URL": "redis://host:port"}
    command = [sys.executable, str(STAND_IN), "--port", str(free_port())]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False)
    sentences = (
        "script/up: LOG_LEVEL is wrong: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR' (it is 'LOUD').\n"
        "REDIS_URL is wrong: it is not an address; write redis://:password@host:6379/0.\n"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", sentences)
    assert not (home / "postgres").exists()


def test_a_server_that_does_not_answer_is_named_while_it_is_waited_for(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        run = up(REDIS_URL=f"redis://127.0.0.1:{port}/0")
        assert run.wait_for("Waiting for") == f"Waiting for redis at 127.0.0.1:{port} to answer, up to 60 s"
        run.send(signal.SIGTERM)
        assert run.wait_end() == 0


def test_the_environment_of_the_processes_is_kept_for_later_commands_while_they_run(up: Up, home: Path) -> None:
    run = up(SQS_QUEUE_PREFIX="mine", UNRELATED="secret of somebody else").ready()
    kept = json.loads((home / "environment.json").read_text(encoding="utf-8"))
    seen = process_environment(run.run_file()["web"]["pid"])
    assert kept.items() <= seen.items()
    assert kept.keys() >= {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "SQS_ENDPOINT_URL", "S3_BUCKET"}
    assert kept["SQS_QUEUE_PREFIX"] == "mine"
    assert not kept.keys() & {"UNRELATED", "PROCESS_NAME"}
    assert (home / "environment.json").stat().st_mode & 0o777 == 0o600
    run.send(signal.SIGTERM)
    assert run.wait_end() == 0
    assert not (home / "environment.json").exists()


def test_the_users_own_variables_go_first_except_those_of_another_project(up: Up) -> None:
    run = up(SECRET_KEY="the-users-own-key-of-more-than-32-letters", DJANGO_SETTINGS_MODULE="another.project").ready()
    seen = process_environment(run.run_file()["web"]["pid"])
    assert seen["SECRET_KEY"] == "the-users-own-key-of-more-than-32-letters"
    assert seen["DJANGO_SETTINGS_MODULE"] == "config.settings"
    assert seen["PROCESS_NAME"] == "web"
    assert seen["DATABASE_URL"] == run.run_file()["postgres"]["url"]
    assert seen["S3_ENDPOINT_URL"] == run.run_file()["sqs"]["address"]


def test_neither_the_supervisor_nor_the_servers_have_the_secrets_of_the_product(up: Up, home: Path) -> None:
    secret = "k" * 40
    run = up(SECRET_KEY=secret).ready()
    others = [run.process.pid, *(run.run_file()[name]["pid"] for name in ("postgres", "redis", "sqs"))]
    for pid in others:
        assert secret not in process_environment(pid).values()
    assert process_environment(run.run_file()["web"]["pid"])["SECRET_KEY"] == secret, "a stand-in, which hides nothing"


def process_environment(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/environ", "rb") as raw:  # noqa: PTH123
        pairs = raw.read().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


IN_THE_BACKGROUND = """
import json, signal, subprocess, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGQUIT, signal.SIG_IGN)
import os
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_a_background_job_of_a_script_a_signal_ends_everything(number: int, home: Path) -> None:
    """A shell without job control makes its background jobs ignore SIGINT and SIGQUIT. `script/up` undoes that."""
    run = Run(home, program=[sys.executable, "-c", IN_THE_BACKGROUND, STAND_IN])
    try:
        run.ready()
        processes = run.processes()
        assert {pid: _ignored(pid) & BACKGROUND for pid in processes} == dict.fromkeys(processes, 0)
        run.send(number)
        assert run.wait_end() == 0
        assert process.wait_gone(processes, 0)
    finally:
        run.end_for_certain()


BACKGROUND = (1 << signal.SIGINT - 1) | (1 << signal.SIGQUIT - 1)


def _ignored(pid: int) -> int:
    """Return the mask of the signals that a process ignores."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn:")]
    return int(line.split()[1], 16)
