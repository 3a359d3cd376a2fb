"""Which Redis program opens a folder with data, and the error for data that no program can open."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded import EmbeddedError, RedisServer, programs
from embedded import redis as redis_module
from embedded.redis_data import writer
from tests.embedded.runs import wait_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGED_REDIS = programs.packaged_redis()
# Like an older Redis, this program ends without changing anything if the data have a later format than its own.
OLDER_REDIS = """\
if cat ./*.rdb appendonlydir/*.rdb 2>/dev/null | grep -aqE '^(REDIS00(1[2-9]|99)|VALKEY)'; then
  echo "1:M 30 Nov 2026 00:00:00.000 # Server initialized"
  echo "1:M 30 Nov 2026 00:00:00.001 # WARNING Memory overcommit must be enabled!"
  echo "1:M 30 Nov 2026 00:00:00.002 # Can't handle RDB format version 12"
  echo "1:M 30 Nov 2026 00:00:00.003 # Fatal error loading the DB: Invalid argument. Exiting."
  exit 1
fi
exec {real} "$@"
"""


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
def folder(scratch: Path, tmp_path: Path) -> Path:
    return scratch / tmp_path.name


@pytest.fixture
def put_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that puts a program first on PATH and returns its path."""
    monkeypatch.setenv("PATH", f"/usr/bin{os.pathsep}/bin")

    def put(text: str) -> Path:
        program = tmp_path / "bin" / "redis-server"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text.format(real=PACKAGED_REDIS)}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
        redis_module.working_program.cache_clear()
        return program

    return put


@pytest.fixture(params=[True, False], ids=["append-only file", "dump"])
def durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def _make_data(folder: Path, *, durable: bool) -> Path:
    """Make data with the packaged Redis. Return the dump, or the base file of the append-only file if `durable`."""
    server = RedisServer(folder, durable=durable)
    server.program = PACKAGED_REDIS
    with server:
        assert server.command("SET", "kept", "yes") == "+OK"
        if durable:
            wait_written(server)
    return server.data_folder / "appendonlydir/appendonly.aof.1.base.rdb" if durable else server.dump_file


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _opened_by(server: RedisServer) -> Path:
    """Start the server, check that it has the data, and return the path of its program."""
    with server:
        assert server.command("GET", "kept") == "yes"
        assert server.child is not None
        return Path(server.child.order.argv[0])


def test_data_that_an_older_redis_on_path_cannot_read_are_opened_by_the_packaged_one(
    folder: Path, put_on_path: Callable[[str], Path], capsys: pytest.CaptureFixture[str], *, durable: bool
) -> None:
    _make_data(folder, durable=durable)
    older = put_on_path(OLDER_REDIS)
    for _ in ("first", "second"):
        assert _opened_by(RedisServer(folder, durable=durable)) == PACKAGED_REDIS
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"{older} cannot open the data in {folder}/data: Can't handle RDB format version 12; "
        f"using {PACKAGED_REDIS} instead"
    )


def test_a_redis_that_cannot_read_one_folder_is_used_for_others(
    folder: Path, put_on_path: Callable[[str], Path]
) -> None:
    _make_data(folder / "newer data", durable=True)
    older = put_on_path(OLDER_REDIS)
    assert _opened_by(RedisServer(folder / "newer data", durable=True)) == PACKAGED_REDIS
    with RedisServer(folder / "no data", durable=True) as server:
        assert server.child is not None
        assert server.child.order.argv[0] == str(older)


def test_a_redis_on_path_continues_with_data_that_it_can_read(
    folder: Path, put_on_path: Callable[[str], Path], capsys: pytest.CaptureFixture[str], *, durable: bool
) -> None:
    _make_data(folder, durable=durable)
    found = put_on_path('exec {real} "$@"')
    assert _opened_by(RedisServer(folder, durable=durable)) == found
    assert capsys.readouterr().err == ""


def test_a_command_of_a_later_redis_in_the_append_only_file_is_noticed(
    folder: Path, put_on_path: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _make_data(folder, durable=True)
    # This program can read the format of all files, but it has no command SET, which the append-only file contains.
    put_on_path('exec {real} "$@" --rename-command SET ""')
    assert _opened_by(RedisServer(folder, durable=True)) == PACKAGED_REDIS
    assert "Unknown command 'SET' reading the append only file" in capsys.readouterr().err


def test_an_append_only_file_that_a_crash_cut_off_is_accepted(folder: Path) -> None:
    base = _make_data(folder, durable=True)
    with base.with_name("appendonly.aof.1.incr.aof").open("ab") as log:
        log.write(b"*2\r\n$3\r\nDEL\r\n$4\r\nke")
    assert _opened_by(RedisServer(folder, durable=True)) == PACKAGED_REDIS


def _of_a_newer_redis(dump: Path) -> str:
    dump.write_bytes(dump.read_bytes().replace(b"REDIS0012", b"REDIS0099").replace(b"8.2.3", b"9.9.9"))
    return r"Can't handle RDB format version 99\. .*Redis 9\.9\.9 or a later version wrote it"


def _of_valkey(dump: Path) -> str:
    head = (
        dump.read_bytes()
        .replace(b"REDIS0012", b"VALKEY080")
        .replace(b"\x09redis-ver\x058.2.3", b"\x0avalkey-ver\x059.0.1")
    )
    dump.write_bytes(head)
    return r"Valkey 9\.0\.1 or a later version wrote it"


def _overwritten(dump: Path) -> str:
    dump.write_bytes(b"no data of any Redis")
    return "It may be damaged"


def _cut_off(dump: Path) -> str:
    os.truncate(dump, 60)
    return "Short read or OOM loading DB|Unexpected EOF reading"


@pytest.mark.parametrize("spoil", [_of_a_newer_redis, _of_valkey, _overwritten, _cut_off])
def test_data_that_no_redis_can_read_get_one_clear_sentence_and_stay(
    spoil: Callable[[Path], str], folder: Path, put_on_path: Callable[[str], Path], *, durable: bool
) -> None:
    said = spoil(_make_data(folder, durable=durable))
    put_on_path(OLDER_REDIS)
    server = RedisServer(folder, durable=durable)
    before = _contents(server.data_folder)
    with pytest.raises(EmbeddedError, match=said) as raised:
        server.start()
    text = str(raised.value)
    assert text.startswith(f"{PACKAGED_REDIS} cannot open the data in {server.data_folder}: ")
    assert "Nothing in it was changed" in text
    assert "put the redis-server that wrote it before all others on PATH" in text
    assert text.endswith(f"The log is {server.log_file}.")
    assert "\n" not in text
    assert _contents(server.data_folder) == before
    assert not server.running


def test_an_append_only_file_without_its_dump_gets_the_same_sentence_and_stays(folder: Path) -> None:
    _make_data(folder, durable=True).unlink()
    server = RedisServer(folder, durable=True)
    before = _contents(server.data_folder)
    with pytest.raises(
        EmbeddedError, match=r"base\.rdb.* No such file .*Nothing in it was changed\. It may be damaged"
    ):
        server.start()
    assert _contents(server.data_folder) == before


def test_data_are_opened_again_after_their_redis_is_put_on_path(
    folder: Path, put_on_path: Callable[[str], Path]
) -> None:
    dump = _make_data(folder, durable=True)
    of_ours = dump.read_bytes()
    _of_a_newer_redis(dump)
    of_newer = folder / "as the newer one reads it"
    of_newer.write_bytes(of_ours)
    newer = put_on_path(f'cp "{of_newer}" appendonlydir/appendonly.aof.1.base.rdb 2>/dev/null; exec {{real}} "$@"')
    assert _opened_by(RedisServer(folder, durable=True)) == newer


def test_the_data_are_tried_only_once_and_not_at_each_start(folder: Path, put_on_path: Callable[[str], Path]) -> None:
    _make_data(folder, durable=True)
    put_on_path(f'echo started >> "{folder}/starts"; exec {{real}} "$@"')
    with RedisServer(folder, durable=True) as server:
        before = (folder / "starts").read_text().count("started")
        server.restart()
        assert (folder / "starts").read_text().count("started") == before + 1


def test_another_dump_is_tried_again(folder: Path, put_on_path: Callable[[str], Path]) -> None:
    newer_dump = shutil.copy(_make_data(folder / "elsewhere", durable=False), folder / "dump")
    put_on_path(OLDER_REDIS)
    server = RedisServer(folder / "ours")
    with server:
        pass
    server.start(dump=Path(newer_dump))
    assert _opened_by(server) == PACKAGED_REDIS


def test_the_version_that_wrote_a_folder_is_read_from_its_newest_dump(folder: Path) -> None:
    assert writer(folder) is None
    _make_data(folder, durable=True)
    assert re.fullmatch(r"Redis \d+\.\d+\.\d+", writer(folder / "data") or "")
