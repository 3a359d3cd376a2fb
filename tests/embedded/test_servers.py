"""The embedded servers, started as real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import psycopg
import pytest
import redis
from botocore.config import Config

import embedded
from embedded import EmbeddedError, PostgresServer, RedisServer, SqsServer, group, process
from embedded.errors import NotReadyError
from embedded.plan import Web, Worker
from embedded.ports import HOST, free_port
from embedded.sqs import REGION
from tests.embedded.runs import PATIENCE, eventually, wait_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.server import Server
    from embedded.service import Service


@pytest.fixture(scope="module")
def running(scratch: Path) -> Iterator[embedded.Servers]:
    with embedded.servers(scratch / "all") as started:
        yield started


@pytest.fixture
def cache(running: embedded.Servers) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(running.redis.url, decode_responses=True) as client:
        yield client


def test_redis_evicts_only_keys_with_a_ttl_and_knows_sharded_pub_sub(cache: redis.Redis) -> None:
    assert cache.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
    assert cache.config_get("maxmemory") == {"maxmemory": str(256 * 1024 * 1024)}
    assert cache.spublish("channel", "message") == 0


def test_redis_keeps_its_data_over_a_stop(running: embedded.Servers, cache: redis.Redis) -> None:
    cache.set("kept", "yes")
    port, before = running.redis.port, running.redis.pid
    running.redis.restart()
    assert cache.get("kept") == "yes"
    assert (running.redis.port, running.redis.pid == before) == (port, False)


def test_redis_comes_back_empty_if_a_fault_test_wants_that(running: embedded.Servers, cache: redis.Redis) -> None:
    cache.set("lost", "yes")
    running.redis.kill()
    running.redis.start(empty=True)
    running.redis.wait_ready()
    assert cache.dbsize() == 0


def test_redis_starts_from_an_older_dump(running: embedded.Servers, cache: redis.Redis, tmp_path: Path) -> None:
    cache.set("value", "old")
    older = Path(shutil.copy(running.redis.save(), tmp_path))
    cache.set("value", "new")
    running.redis.kill()
    running.redis.start(dump=older)
    running.redis.wait_ready()
    assert cache.get("value") == "old"


def test_a_durable_redis_keeps_what_was_written_when_it_is_killed(scratch: Path) -> None:
    server = RedisServer(scratch / "durable", durable=True)
    with server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        wait_written(server)
        server.kill()
        server.start()
        server.wait_ready()
        assert client.get("kept") == b"yes"
        server.stop()
        with pytest.raises(EmbeddedError, match="cannot start from a dump"):
            server.start(dump=scratch / "any")
        server.start()
        server.wait_ready()
        assert client.get("kept") == b"yes"


def _query_value(server: PostgresServer, query: str) -> object:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_postgres_has_the_database_and_the_user_and_korean_letters(running: embedded.Servers) -> None:
    assert _query_value(running.postgres, "select current_user || '@' || current_database()") == "academy@academy"
    assert _query_value(running.postgres, "show server_encoding") == "UTF8"
    assert _query_value(running.postgres, "select upper('é') || '학원'") == "É학원"


def test_postgres_is_never_root_and_listens_on_the_loopback_only(running: embedded.Servers) -> None:
    assert _query_value(running.postgres, "show listen_addresses") == "127.0.0.1"
    assert _query_value(running.postgres, "show unix_socket_directories") == ""


def test_postgres_requires_the_generated_password(running: embedded.Servers) -> None:
    wrong = running.postgres.url.replace(running.postgres.password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    assert (running.postgres.folder / "password").stat().st_mode & 0o777 == 0o600


def test_postgres_keeps_committed_rows_when_it_is_killed(running: embedded.Servers) -> None:
    with psycopg.connect(running.postgres.url) as connection:
        connection.execute("create table kept as select 7 as n")
    running.postgres.kill()
    running.postgres.start()
    running.postgres.wait_ready()
    assert _query_value(running.postgres, "select n from kept") == 7


def test_data_of_another_postgres_version_get_one_clear_sentence(scratch: Path) -> None:
    server = PostgresServer(scratch / "other version")
    server.data_folder.mkdir(parents=True)
    (server.data_folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="were made by PostgreSQL 9, but this one is"):
        server.start()


def test_after_an_interruption_the_data_of_postgres_are_made_again(scratch: Path) -> None:
    server = PostgresServer(scratch / "interrupted")
    (server.folder / "data.unfinished" / "base").mkdir(parents=True)
    with server:
        assert _query_value(server, "select 1") == 1


def test_a_stale_pid_file_with_another_programs_pid_is_no_obstacle(scratch: Path) -> None:
    server = PostgresServer(scratch / "stale")
    with server:
        lines = (server.data_folder / "postmaster.pid").read_text().splitlines()
    (server.data_folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with server:
        assert _query_value(server, "select 1") == 1


def test_sqs_and_s3_keep_queues_and_objects_over_a_stop(running: embedded.Servers) -> None:
    keys = {"region_name": "ap-northeast-2", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    sqs = boto3.client("sqs", endpoint_url=running.sqs.url, **keys)  # type: ignore[call-overload]
    s3 = boto3.client("s3", endpoint_url=running.sqs.url, **keys)  # type: ignore[call-overload]
    address = sqs.create_queue(QueueName="kept")["QueueUrl"]
    sqs.send_message(QueueUrl=address, MessageBody="hello")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    s3.put_object(Bucket="kept", Key="a/b", Body="학생".encode())
    running.sqs.restart()
    assert sqs.receive_message(QueueUrl=address, WaitTimeSeconds=20)["Messages"][0]["Body"] == "hello"
    assert s3.get_object(Bucket="kept", Key="a/b")["Body"].read().decode() == "학생"


def test_the_environment_names_all_of_them(running: embedded.Servers) -> None:
    variables = running.environment()
    assert variables["DATABASE_URL"] == running.postgres.url
    assert variables["REDIS_URL"] == running.redis.url
    assert variables["SQS_ENDPOINT_URL"] == variables["S3_ENDPOINT_URL"] == running.sqs.address
    assert variables["S3_BUCKET"] == "academy"


@pytest.mark.parametrize("name", ["postgres", "redis", "sqs"])
def test_the_pid_is_the_servers_own_and_stopping_leaves_nothing(name: str, scratch: Path) -> None:
    with embedded.servers(scratch / f"own {name}", [name]) as started:
        server = started[name]
        pid = server.pid
        assert pid is not None
        words = " ".join(process.command_line(pid))
        assert {"postgres": "postgres", "redis": "redis-server", "sqs": "ministack"}[name] in words
        assert "child.py" not in words
        family = {pid: process.identity(pid) or "", **process.children(pid)}
    assert server.pid is None
    assert process.wait_gone(family, PATIENCE)
    with pytest.raises(EmbeddedError, match=f"{name} was not ready|{name} ended"):
        server.wait_ready(0.1)


@pytest.mark.parametrize("name", ["postgres", "redis", "sqs"])
def test_with_an_address_in_the_environment_no_server_is_started(name: str, scratch: Path) -> None:
    urls = {"postgres": "postgresql://a:b@127.0.0.1:1/x", "redis": "redis://127.0.0.1:1/0", "sqs": "http://127.0.0.1:1"}
    variables = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "sqs": "SQS_ENDPOINT_URL"}
    server = group.choose(scratch / "external", [name], {variables[name]: urls[name]})[name]
    server.start()
    assert (server.pid, server.url) == (None, urls[name])
    with pytest.raises(EmbeddedError, match=f"{name} was not ready at 127.0.0.1:1 within"):
        server.wait_ready(0.1)


def test_the_tests_servers_ignore_addresses_in_the_environment(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    with embedded.servers(scratch / "unharmed", ["redis"]) as started:
        assert started.redis.pid is not None


def test_a_taken_port_gets_one_clear_sentence(running: embedded.Servers, scratch: Path) -> None:
    server = RedisServer(scratch / "taken", running.redis.port)
    with pytest.raises(EmbeddedError, match=f"redis cannot start: another program answers at 127.0.0.1:{server.port}"):
        server.start()


def test_the_web_servers_taken_port_is_answered_with_the_option_that_names_another(scratch: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        web = Web("web", [], scratch / "web.log", {})
        web.port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"answers at {HOST}:{web.port}: choose another port with --port N"):
            web.start()


def test_a_server_that_dies_at_once_is_reported_with_its_log(scratch: Path) -> None:
    server = PostgresServer(scratch / "broken")
    with server:
        pass
    (server.data_folder / "postgresql.conf").write_text("no_such_setting = 1\n")
    server.start()
    with pytest.raises(EmbeddedError, match=r"(?s)postgres ended with code 1; its log is .*no_such_setting"):
        server.wait_ready(PATIENCE)


def test_an_unknown_server_and_one_that_was_not_chosen_are_refused(scratch: Path) -> None:
    with pytest.raises(EmbeddedError, match="There is no server 'mysql': use postgres, redis, sqs"):
        group.choose(scratch, ["mysql"])
    with pytest.raises(EmbeddedError, match="The server sqs was not chosen"):
        _ = group.choose(scratch / "some", ["redis"]).sqs


def test_the_end_of_a_server_is_reported_for_any_cause(scratch: Path) -> None:
    ended = threading.Event()
    with RedisServer(scratch / "watched") as server:
        server.on_end = lambda *_: ended.set()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert ended.wait(PATIENCE)
        assert server.pid is None


_PARENT = """
import sys, threading
from pathlib import Path
import embedded
with embedded.servers(Path(sys.argv[1]), ["redis", "postgres", "sqs"]) as running:
    print(*(server.pid for server in running), flush=True)
    threading.Event().wait()
"""


def test_nothing_outlives_a_parent_that_is_killed(scratch: Path) -> None:
    argv = [sys.executable, "-c", _PARENT, str(scratch / "orphans")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        family = {pid: process.identity(pid) or "" for pid in pids}
        assert len(family) == 3
        parent.kill()
    assert process.wait_gone(family, PATIENCE)


class _Deaf(RedisServer):
    """A Redis that runs, but never counts as ready."""

    def _is_ready(self) -> bool:
        return False


@pytest.mark.parametrize("what", ["a server", "a worker"])
def test_a_server_that_misses_its_start_deadline_is_ended(what: str, scratch: Path) -> None:
    argv = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    worker = Worker("deaf", argv, scratch / "deaf.log", dict(os.environ), scratch / "deaf.ready")
    late: Service = _Deaf(scratch / "deaf") if what == "a server" else worker
    late.start()
    pid = late.pid
    assert pid is not None
    family = {pid: process.identity(pid) or ""}
    with pytest.raises(NotReadyError, match="was not ready"):
        late.wait_ready(0.2)
    assert process.wait_gone(family, 0)


_FORGETFUL = """
import os, signal, sys
from pathlib import Path
from embedded import RedisServer
server = RedisServer(Path(sys.argv[1]))
server.start()
server.wait_ready()
os.kill(server.pid, signal.SIGSTOP)
print(server.pid, flush=True)
input()
"""


def test_a_server_that_hangs_ends_with_the_program_that_forgot_it(scratch: Path) -> None:
    argv = [sys.executable, "-c", _FORGETFUL, str(scratch / "forgotten")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        family = {pid: process.identity(pid) or ""}
        program.communicate("\n")
    assert process.wait_gone(family, PATIENCE)


def test_servers_outlive_the_thread_that_started_them(scratch: Path) -> None:
    server: Server = RedisServer(scratch / "thread")
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        server.wait_ready(PATIENCE)
        assert server.running
    finally:
        server.stop()


def test_a_process_is_ended_only_if_its_identity_is_proven() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as other:
        known = process.identity(other.pid)
        assert known is not None
        assert not process.end_proven(other.pid, f"{known}0")
        assert other.poll() is None
        assert process.is_same(other.pid, known)
        assert process.end_proven(other.pid, known)
        assert other.wait() == -signal.SIGTERM


def test_the_emulator_answers_on_the_loopback_only(running: embedded.Servers) -> None:
    with urllib.request.urlopen(f"{running.sqs.url}/_ministack/health", timeout=PATIENCE) as answer:  # noqa: S310
        assert json.load(answer)
        eventually(lambda: _ministack_has_started(running.sqs), "what it starts after its web server")
    assert _listening(running.sqs) == {(HOST, running.sqs.port)}


def _ministack_has_started(server: SqsServer) -> bool:
    try:
        urllib.request.urlopen(f"{server.url}/_ministack/ready", timeout=PATIENCE).close()  # noqa: S310
    except urllib.error.HTTPError:
        return False
    return True


def _listening(server: Server) -> set[tuple[str, int]]:
    """Return all addresses at which the server and its child processes listen."""
    assert server.pid is not None
    known = psutil.Process(server.pid)
    ends = [end for each in (known, *known.children(recursive=True)) for end in each.net_connections("inet")]
    return {(end.laddr.ip, end.laddr.port) for end in ends if end.status == psutil.CONN_LISTEN}


def test_free_ports_are_not_those_of_outgoing_connections() -> None:
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as text:  # noqa: PTH123
        first = int(text.read().split()[0])
    assert all(15_000 <= free_port() < first for _ in range(20))


def test_a_restarted_emulator_accepts_files_at_signed_addresses_again(scratch: Path) -> None:
    with SqsServer(scratch / "killed") as server:
        store = boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(signature_version="s3v4"),
        )
        region: Any = {"LocationConstraint": REGION}
        store.create_bucket(Bucket="videos", CreateBucketConfiguration=region)
        store.put_object(Bucket="videos", Key="before", Body=b"1")
        server.kill()
        server.start()
        server.wait_ready()
        url = store.generate_presigned_url("put_object", Params={"Bucket": "videos", "Key": "after"})
        request = urllib.request.Request(url, b"2", method="PUT")  # noqa: S310 - the address of the line above
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert answer.status == 200
        assert store.get_object(Bucket="videos", Key="before")["Body"].read() == b"1"


def test_a_test_can_have_two_servers_of_a_kind(scratch: Path) -> None:
    with (
        RedisServer(scratch / "one") as one,
        RedisServer(scratch / "two") as two,
        SqsServer(scratch / "three") as three,
    ):
        assert len({one.port, two.port, three.port}) == 3
