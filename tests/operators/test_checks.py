"""The system checks of the engine: what each of them finds, and that a plain `check` does not need Redis."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from django.core.checks import run_checks
from pytest_django import Settings
from redis import Redis

from embedded.home import PROJECT
from embedded.redis import RedisServer
from harness.servers import SECRET
from realtime.operate.checks import REALTIME


def found(*, deploy: bool = False) -> list[str]:
    messages = run_checks(tags=[REALTIME], include_deployment_checks=deploy)
    assert all(message.hint or message.id == "realtime.E001" for message in messages)
    return [str(message.id) for message in messages]


def test_they_find_nothing_wrong_with_the_product_itself(redis: Redis) -> None:
    assert found(deploy=True) == []


@pytest.mark.parametrize(
    ("name", "value", "identifier"),
    [
        ("REALTIME_REDIS_URL", "", "realtime.E001"),
        ("REALTIME_AUTHENTICATOR", "", "realtime.E001"),
        ("REALTIME_AUTHENTICATOR", "apps.core.topic_rules.nothing", "realtime.E001"),
        ("REALTIME_TOPIC_RULES", None, "realtime.E001"),
        ("SECRET_KEY", "", "realtime.E002"),
        ("SECRET_KEY", "short", "realtime.W005"),
        ("SECRET_KEY_FALLBACKS", ["short"], "realtime.W005"),
        ("ALLOWED_HOSTS", ["*"], "realtime.W004"),
        ("REALTIME_ALLOWED_ORIGINS", ["https://a.example", "http://b.example"], "realtime.W004"),
    ],
)
def test_a_wrong_setting_is_found(settings: Settings, name: str, value: object, identifier: str) -> None:
    setattr(settings, name, value)
    assert found() == [identifier]


def test_pages_of_this_machine_are_allowed_and_while_debugging_all_pages(settings: Settings) -> None:
    settings.REALTIME_ALLOWED_ORIGINS = ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:80"]
    assert found() == []
    settings.REALTIME_ALLOWED_ORIGINS = ["http://b.example"]
    settings.ALLOWED_HOSTS = ["*"]
    settings.DEBUG = True
    assert found() == []


def test_a_wrong_policy_and_a_full_memory_of_redis_are_found_before_deploying(
    own_redis: RedisServer, settings: Settings, forget_clients: Callable[[], None]
) -> None:
    settings.REALTIME_REDIS_URL = own_redis.url
    forget_clients()
    client: Redis = Redis.from_url(own_redis.url)
    assert found(deploy=True) == []
    client.config_set("maxmemory-policy", "allkeys-lfu")
    assert found(deploy=True) == ["realtime.W001"]
    client.config_set("maxmemory-policy", "noeviction")
    assert found(deploy=True) == []
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.3))
    assert found(deploy=True) == ["realtime.W002"]
    client.config_set("maxmemory", 0)
    assert found(deploy=True) == []
    client.close()


def test_a_plain_check_needs_no_redis_and_the_one_before_deploying_reports_that_it_is_away() -> None:
    environment = {"SECRET_KEY": SECRET, "REDIS_URL": "redis://127.0.0.1:1/0", "PATH": "/usr/bin"}

    def check(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", "check", *words],
            cwd=PROJECT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout + done.stderr

    assert "no issues" in check()
    assert "realtime.W006" in check("--deploy")
