"""The environment: each wrong value gives one sentence that names its variable, and no secret is ever shown."""

import os

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.database import database_settings
from config.environment import Environment, read_environment

SECRET = "k" * 40
OURS = {name.upper() for name in Environment.model_fields}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a valid SECRET_KEY, and unset all other variables of the product."""
    for name in OURS & set(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("SECRET_KEY", SECRET)


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        read_environment()
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALLOWED_HOSTS", ",", "at least one"),
        ("LOG_LEVEL", "LOUD", "'DEBUG'"),
        ("PROCESS_NAME", "Web 1", "pattern"),
        ("DATABASE_URL", "mysql://host/db", "begin with postgresql://"),
        ("DATABASE_URL", "postgresql://user:pw@[::1/db", "postgresql://user:password@host"),
        ("DATABASE_POOL_SIZE", "many", "integer"),
        ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
        ("REDIS_URL", "http://host", "begin with redis://"),
        ("REDIS_URL", "redis://host:port/0", "redis://:password@host"),
        ("AWS_SECRET_ACCESS_KEY", "a key without its name", "set both AWS_ACCESS_KEY_ID"),
        ("BODY_TOTAL_BYTES", "3000000", "must exceed VIDEO_MAX_BYTES"),
        ("SQS_ENDPOINT_URL", "host:9324", "begin with http://"),
        ("SQS_ENDPOINT_URL", "http://", "a host"),
        ("SQS_QUEUE_PREFIX", "a.b", "pattern"),
        ("S3_ENDPOINT_URL", "s3://bucket", "begin with http://"),
        ("MESSAGE_PROVIDER", "pigeon", "'folder', 'smtp' or 'http'"),
        ("MESSAGE_SMTP_URL", "mail.example.com:25", "write smtp:// or smtps://"),
        ("MESSAGE_SMTP_URL", "smtp://", "write smtp:// or smtps://"),
        ("MESSAGE_SMTP_FROM", "The office <office@example.com>", "an e-mail address without a name"),
        ("MESSAGE_SMTP_TO", "office@example.com", "{recipient}@sms.example.com"),
        ("MESSAGE_HTTP_URL", "sms.example.com/send", "begin with http://"),
        ("MESSAGE_RATE_PER_MINUTE", "0", "greater than or equal to 1"),
        ("MESSAGE_PRICE_SMS", "-1", "greater than or equal to 0"),
        ("MESSAGE_PRICE_LMS", "nan", "less than or equal to 100000"),
        ("AI_WORKER_MAX_CONCURRENCY", "0", "greater than or equal to 1"),
        ("WORKER_HEARTBEAT_SECONDS", "nan", "less than or equal to 60"),
        ("WORKER_HEARTBEAT_SECONDS", "-1", "greater than 0"),
        ("REALTIME_KEY_PREFIX", "a b", "pattern"),
        ("REALTIME_ALLOWED_ORIGINS", "https://a.example/path", "is not an origin"),
        ("REALTIME_ALLOWED_ORIGINS", "https://a.example,*", "is not an origin"),
        ("REALTIME_PING_SECONDS", "0", "greater than 0"),
        ("REALTIME_CONNECTION_SECONDS", "1.5", "integer"),
    ],
)
def test_a_wrong_value_gives_one_sentence_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    text = complaint(monkeypatch, **{name: value})
    assert text.startswith(f"{name} is wrong: ")
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("provider", "needed"), [("smtp", ["MESSAGE_SMTP_URL", "MESSAGE_SMTP_FROM"]), ("http", ["MESSAGE_HTTP_URL"])]
)
def test_a_provider_of_messages_requires_its_variables(
    monkeypatch: pytest.MonkeyPatch, provider: str, needed: list[str]
) -> None:
    assert complaint(monkeypatch, MESSAGE_PROVIDER=provider).splitlines() == [
        f"{name} is wrong: it is required if MESSAGE_PROVIDER is {provider}." for name in needed
    ]


def test_several_wrong_values_give_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = complaint(monkeypatch, LOG_LEVEL="LOUD", DATABASE_POOL_SIZE="x").splitlines()
    assert [line.split()[0] for line in lines] == ["LOG_LEVEL", "DATABASE_POOL_SIZE"]


@pytest.mark.parametrize("key", ["", "too-short-a-key"])
def test_a_missing_or_short_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    text = complaint(monkeypatch, SECRET_KEY=key)
    assert text.startswith("SECRET_KEY is ")
    assert not key or key not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "hidden-word"),
        ("SECRET_KEY_FALLBACKS", "hidden-word"),
        ("SECRET_KEY_FALLBACKS", ",".join(["hidden-word-of-more-than-thirty-two-letters"] * 4)),
        ("DATABASE_URL", "mysql://user:hidden-word@host/db"),
        ("DATABASE_URL", "postgresql://user:hidden-word@[::1/db"),
        ("DATABASE_URL", "postgresql://host/db?password=hidden-word&nonsense=1"),
        ("DATABASE_URL", "host=db password=hidden-word"),
        ("MESSAGE_SMTP_URL", "smtps://office:hidden-word@host:port"),
        ("REDIS_URL", "http://:hidden-word@host"),
        ("REDIS_URL", "redis://:hidden-word@host:port"),
    ],
)
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert "hidden" not in complaint(monkeypatch, **{name: value})


def test_the_length_and_the_number_of_old_keys_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{SECRET}1, {SECRET}2")
    assert [key.get_secret_value() for key in read_environment().secret_key_fallbacks] == [f"{SECRET}1", f"{SECRET}2"]
    assert "at least 32" in complaint(monkeypatch, SECRET_KEY_FALLBACKS=f"{SECRET},short")
    assert "3 old keys" in complaint(monkeypatch, SECRET_KEY_FALLBACKS=",".join([SECRET] * 4))


def test_nothing_that_is_printed_of_the_environment_shows_the_key() -> None:
    assert SECRET not in repr(read_environment({"SECRET_KEY_FALLBACKS": SECRET}))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORKER_HEARTBEAT_SECONDS": "30"}, "WORKER_LEASE_SECONDS is wrong"),
        ({"WORKER_LEASE_SECONDS": "5"}, "WORKER_LEASE_SECONDS is wrong"),
        ({"WORKER_LEASE_SECONDS": "40"}, "WORKER_VISIBILITY_SECONDS is wrong"),
        ({"WORKER_VISIBILITY_SECONDS": "30"}, "WORKER_VISIBILITY_SECONDS is wrong"),
    ],
)
def test_times_of_a_worker_with_which_running_jobs_would_seem_dead_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    assert words in complaint(monkeypatch, **variables)


@pytest.mark.parametrize(("user", "tenant"), [("750", "1499"), ("751", None), (None, "599")])
def test_a_limit_with_which_one_user_can_use_up_the_changes_of_an_academy_is_refused(
    monkeypatch: pytest.MonkeyPatch, user: str | None, tenant: str | None
) -> None:
    given = {"QUOTA_CHANGES_PER_USER": user, "QUOTA_CHANGES_PER_TENANT": tenant}
    problem = complaint(monkeypatch, **{name: value for name, value in given.items() if value})
    assert problem.startswith("QUOTA_CHANGES_PER_TENANT is wrong: it must be at least twice QUOTA_CHANGES_PER_USER")
    assert len(problem.splitlines()) == 1


def test_a_limit_for_an_academy_of_twice_that_for_a_user_is_accepted() -> None:
    limits = {"QUOTA_CHANGES_PER_USER": "1000000", "QUOTA_CHANGES_PER_TENANT": "2000000"}
    assert read_environment(limits).quota_changes_per_tenant == 2_000_000


def test_lists_are_separated_by_commas_with_or_without_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", " a.example, b.example ,,")
    monkeypatch.setenv("REALTIME_ALLOWED_ORIGINS", "https://a.example,http://b.example:8080")
    environment = read_environment()
    assert environment.allowed_hosts == ["a.example", "b.example"]
    assert environment.realtime_allowed_origins == ["https://a.example", "http://b.example:8080"]


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    without = read_environment()
    for name in OURS - {"SECRET_KEY"}:
        monkeypatch.setenv(name, "")
    assert read_environment() == without


def environment(monkeypatch: pytest.MonkeyPatch, process: str, url: str) -> Environment:
    monkeypatch.setenv("PROCESS_NAME", process)
    monkeypatch.setenv("DATABASE_URL", url)
    return read_environment()


def test_the_web_process_has_a_pool_of_a_fixed_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    found = database_settings(environment(monkeypatch, "web", "postgresql://user:p%40ss@db.example:5433/academy"))
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("user", "p@ss", "db.example", "5433")
    assert found["NAME"] == "academy"
    assert found["CONN_MAX_AGE"] == 0
    assert found["OPTIONS"]["pool"]["max_size"] == 7
    assert found["CONN_HEALTH_CHECKS"] is False  # the pool would send one more statement for each request
    assert found["OPTIONS"]["application_name"] == "web"


def test_every_other_process_keeps_its_connections_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://user@/academy?host=/run/postgresql&sslmode=require&connect_timeout=2"
    found = database_settings(environment(monkeypatch, "ai_worker", url))
    assert (found["CONN_MAX_AGE"], found["CONN_HEALTH_CHECKS"]) == (15, True)
    assert found["HOST"] == "/run/postgresql"
    assert "pool" not in found["OPTIONS"]
    assert (found["OPTIONS"]["sslmode"], found["OPTIONS"]["connect_timeout"]) == ("require", "2")
    assert found["OPTIONS"]["application_name"] == "ai_worker"


def test_the_password_of_the_database_may_be_in_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "apart")
    monkeypatch.setenv("DATABASE_URL", "postgresql://academy@host/academy")
    assert database_settings(read_environment())["PASSWORD"] == "apart"
    monkeypatch.setenv("DATABASE_URL", "postgresql://academy:within@host/academy")
    assert database_settings(read_environment())["PASSWORD"] == "within"


def test_credentials_for_aws_have_the_form_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(read_environment().aws_credentials().values()) == {None}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, name[4:])
    assert read_environment().aws_credentials() == {
        "aws_access_key_id": "ACCESS_KEY_ID",
        "aws_secret_access_key": "SECRET_ACCESS_KEY",
        "aws_session_token": "SESSION_TOKEN",
    }
