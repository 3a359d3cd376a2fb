"""`manage.py doctor`: it finds nothing wrong with a running system, and says how to fix each part that is broken."""

import socket
from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from embedded.group import Servers
from embedded.ports import HOST
from embedded.scratch import scratch_folder
from harness.system import System, running_system
from realtime.operate.doctor import Finding, examine
from realtime.records.errors import CheckFailedError

ALL = [
    "settings", "database", "redis", "redis policy", "redis memory", "redis writes", "clocks", "queues", "storage",
    "parsers", "outbox", "relay", "redis contents", "publish to hub",
]  # fmt: skip
NEED_REDIS = {
    "redis", "redis policy", "redis memory", "redis writes", "clocks", "relay", "redis contents", "publish to hub",
}  # fmt: skip
NOWHERE = f"{HOST}:1"


@pytest.fixture(scope="module")
def ailing(template: Servers) -> Iterator[System]:
    """Yield a system for all tests of this module. A test that breaks a part of it repairs it afterwards."""
    with scratch_folder("system") as folder, running_system(template, folder, "ailing_system") as running:
        yield running


def doctor(system: System, *words: str, **environment: str) -> tuple[int, dict[str, str], str]:
    """Run the doctor. Return its exit code, `{name of a check: verdict and text}`, and its whole output."""
    done = system.managed("doctor", *words, PYTHONWARNINGS="error", **environment)
    said = {}
    for line in done.stdout.splitlines():
        name, _, words_said = line.partition(": ")
        said[name.removeprefix("ok").removeprefix("WRONG").strip()] = f"{line.split()[0]} {words_said}"
    return done.returncode, said, done.stdout


def wrong(said: dict[str, str]) -> set[str]:
    return {name for name, text in said.items() if text.startswith("WRONG ")}


def test_it_finds_nothing_wrong_with_a_running_system(ailing: System) -> None:
    code, said, text = doctor(ailing, "--url", ailing.address)
    assert (code, list(said), wrong(said)) == (0, [*ALL, "publish to socket"], set()), text
    assert f"a record arrived from {ailing.address}" in said["publish to socket"]
    assert "at work: it sent a row" in said["relay"]
    assert "volatile-lru" in said["redis policy"]


def test_it_leaves_nothing_behind_except_two_topics_in_its_own_feed(ailing: System) -> None:
    redis: Redis = Redis.from_url(ailing.redis.url)
    for _ in range(2):
        assert doctor(ailing)[0] == 0
    topics = redis.zrange("tenant:0:feed:index", 0, -1)
    redis.close()
    assert set(topics) == {b"doctor:push", b"doctor:relay"}
    assert ailing.query("SELECT count(*) FROM realtime_outbox WHERE tenant_id = 0") == [(0,)]


def test_each_line_about_a_fault_says_how_to_fix_it(ailing: System) -> None:
    ailing.worker.stop()
    redis: Redis = Redis.from_url(ailing.redis.url)
    redis.config_set("maxmemory-policy", "allkeys-lru")
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] * 1.2))
    redis.delete("realtime:relay")
    try:
        code, said, text = doctor(
            ailing,
            "--url",
            f"http://{NOWHERE}",
            SQS_QUEUE_PREFIX="no-such",
            S3_BUCKET="no-such-bucket",
            REALTIME_ALLOWED_ORIGINS="http://app.example.com",
            ALLOWED_HOSTS="*",
        )
    finally:
        redis.config_set("maxmemory-policy", "volatile-lru")
        redis.config_set("maxmemory", 256_000_000)
        redis.close()
        ailing.worker.start()
        ailing.worker.wait_ready()
    assert code == 1
    expected = {
        "settings": "https://app.example.com",
        "redis policy": "volatile-lru",
        "redis memory": "Raise maxmemory",
        "queues": "manage.py provision",
        "storage": "S3_BUCKET",
        "relay": "realtime_relay",
        "redis contents": "realtime_relay",
        "publish to socket": "ALLOWED_HOSTS",
    }
    assert wrong(said) == set(expected), text
    assert {name for name, words in expected.items() if words not in said[name]} == set(), text
    assert "8 of 15 wrong." in text
    assert "Traceback" not in text


def test_without_redis_each_check_that_needs_it_fails(ailing: System) -> None:
    code, said, text = doctor(ailing, REDIS_URL=f"redis://:hidden@{NOWHERE}/0")
    assert code == 1
    assert wrong(said) == NEED_REDIS, text
    assert "REALTIME_REDIS_URL, usually the variable REDIS_URL" in said["redis"]
    assert "hidden" not in text
    assert "Traceback" not in text


def test_a_redis_that_hangs_is_waited_for_once(ailing: System) -> None:
    with socket.create_server((HOST, 0)) as hung:  # accepts connections, but sends nothing
        hung.settimeout(0)
        url = f"redis://{HOST}:{hung.getsockname()[1]}/0"
        code, said, text = doctor(ailing, "--url", ailing.address, REDIS_URL=url)
        hung.accept()[0].close()
        with pytest.raises(BlockingIOError):  # there was no second connection
            hung.accept()
    assert (code, wrong(said)) == (1, {*NEED_REDIS, "publish to socket"}), text
    skipped = {name for name, words in said.items() if "not checked: Redis does not answer" in words}
    assert skipped == {*NEED_REDIS, "publish to socket"} - {"redis"}, text


def test_a_database_that_is_away_or_not_migrated_is_found(ailing: System) -> None:
    away = ailing.database_url.replace(ailing.database_url.partition("@")[2], f"{NOWHERE}/academy")
    code, said, text = doctor(ailing, DATABASE_URL=away)
    assert (code, wrong(said)) == (1, {"database", "outbox", "relay"}), text
    assert "Traceback" not in text
    with psycopg.connect(ailing.database_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE bare_database")
    bare = ailing.database_url.rpartition("/")[0] + "/bare_database"
    _code, said, text = doctor(ailing, DATABASE_URL=bare)
    assert "manage.py migrate" in said["database"], text
    assert wrong(said) == {"database", "outbox", "relay"}


def test_a_server_with_another_secret_is_found_by_its_close_code(ailing: System) -> None:
    code, said, text = doctor(ailing, "--url", ailing.address, SECRET_KEY="another-key-of-the-tests-0123456789abcdef")
    assert (code, wrong(said)) == (1, {"publish to socket"}), text
    assert "4401" in said["publish to socket"]
    assert "SECRET_KEY" in said["publish to socket"]


def test_a_server_on_another_redis_gets_nothing(ailing: System, redis: Redis, servers: Servers) -> None:
    code, said, text = doctor(ailing, "--url", ailing.address, REALTIME_KEY_PREFIX="elsewhere:")
    assert code == 1
    assert "REALTIME_KEY_PREFIX" in said["publish to socket"], text


def test_an_unexpected_error_in_a_check_does_not_stop_the_others() -> None:
    def has_a_defect() -> str:
        raise ZeroDivisionError("oh")

    def fails() -> str:
        raise CheckFailedError("it is cold", "Heat it.")

    assert list(examine([("a", has_a_defect), ("b", fails), ("c", lambda: "warm")])) == [
        Finding("a", "ZeroDivisionError: oh", "Read the error: the check itself failed."),
        Finding("b", "it is cold", "Heat it."),
        Finding("c", "warm"),
    ]
