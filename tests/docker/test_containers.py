"""Tests that Dockerfile, docker-compose.yml and .env.example fit the project, as far as possible without Docker."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.environment import Environment
from embedded import plan
from embedded.redis import RedisServer

PROJECT = Path(__file__).resolve().parents[2]
# Docker compose itself reads these.
OTHERS = {"POSTGRES_PASSWORD"}
# The settings do not read these, but Python's tempfile and our encoder do. docs/reference/environment.md lists them.
READ_BY_OTHERS = {"TMPDIR", "FFMPEG"}
KNOWN = {name.upper() for name in Environment.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """Return each instruction as a list of two texts: its name in capitals, and the rest."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line.split(" ", 1) for line in lines if line and not line.startswith("#")]


def _interpolated(value: str) -> str:
    """Return the value with its variables replaced as docker compose does for a .env that sets only the secrets.

    A variable in the default of another variable is replaced first.
    """
    while (found := re.search(r"\$\{(\w+)(:?[-?])([^${}]*)\}", value)) is not None:
        name, kind, rest = found.groups()
        given = "0123456789abcdef0123456789abcdef" if name in {"SECRET_KEY", "POSTGRES_PASSWORD"} else ""
        assert given or kind != ":?", f"{name} is asked for"
        value = value.replace(found[0], given or rest)
    return value


def test_each_variable_of_the_compose_file_is_one_that_the_system_reads(compose: dict[str, Any]) -> None:
    for name in ("prepare", "web", *plan.WORKERS):
        assert set(compose["services"][name]["environment"]) <= KNOWN | OTHERS | READ_BY_OTHERS


def test_every_variable_reaches_the_services_that_read_it(compose: dict[str, Any]) -> None:
    """The variables `MESSAGE_…` include credentials of gateways, so only the messaging worker gets them."""
    messages = {name for name in KNOWN if name.startswith("MESSAGE_")}
    for service in ("prepare", "web", *plan.WORKERS):
        wanted = KNOWN - {"WORKER_READY_FILE"} - (set() if service == "messaging_worker" else messages)
        given = compose["services"][service]["environment"]
        assert wanted - set(given) == set(), service
        fixed = {"PROCESS_NAME", "WORKER_READY_FILE", "MESSAGE_FOLDER", "TMPDIR"}
        own = {name for name, value in given.items() if str(value).startswith(f"${{{name}")}
        assert set(given) - own <= fixed, "what .env says does not arrive"
        assert ("WORKER_READY_FILE" in given) == (service in plan.WORKERS)


def test_no_container_may_do_more_than_it_needs(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert service["mem_limit"].endswith(("m", "g")), name
        assert service["pids_limit"] <= 1024, name
        assert not service.get("privileged"), name


def test_what_is_written_has_a_place_where_the_root_is_read_only(
    compose: dict[str, Any], dockerfile: list[list[str]]
) -> None:
    made = {word for name, rest in dockerfile if name == "RUN" and "install" in rest for word in rest.split()}
    for name, service in compose["services"].items():
        assert any(place.startswith("/tmp:") for place in service["tmpfs"]), name  # noqa: S108
        targets = {volume.split(":")[1] for volume in service.get("volumes", [])}
        folder = service.get("environment", {}).get("TMPDIR")
        assert folder is None or folder in targets, name
        if "build" in service:
            assert targets <= made, f"{name} could not write there"
    for name in ("web", "ai_worker", "video_worker"):
        assert "TMPDIR" in compose["services"][name]["environment"], f"{name} would work in memory"


def test_stores_reach_nothing_outside(compose: dict[str, Any]) -> None:
    assert compose["networks"] == {"inside": {"internal": True}, "outside": None}
    networks = {name: service["networks"] for name, service in compose["services"].items()}
    assert {name for name, named in networks.items() if named == ["inside"]} == {"postgres", "redis", "sqs"}


def test_the_stores_do_not_begin_as_root(compose: dict[str, Any]) -> None:
    assert {name: compose["services"][name]["user"] for name in ("postgres", "redis")} == {
        "postgres": "postgres",
        "redis": "redis",
    }


@pytest.mark.parametrize("name", ["prepare", "web", *plan.WORKERS])
def test_the_environment_of_each_service_is_accepted(
    name: str, compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in KNOWN:
        monkeypatch.delenv(known, raising=False)
    for variable, value in compose["services"][name]["environment"].items():
        monkeypatch.setenv(variable, _interpolated(str(value)))
    environment = Environment()  # type: ignore[call-arg]
    assert environment.process_name == name
    assert environment.s3_endpoint_url == environment.sqs_endpoint_url == "http://sqs:4566"
    assert environment.database_url.endswith("@postgres:5432/academy")


def test_services_that_are_named_exist_and_stores_are_kept(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
    assert {name for name, service in services.items() if "volumes" in service} == {
        "postgres",
        "redis",
        "sqs",
        "messaging_worker",
        "web",
        "ai_worker",
        "video_worker",
    }


def test_only_the_web_server_is_reachable_and_from_this_machine_only(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_redis_has_the_policy_that_the_embedded_one_has(compose: dict[str, Any], tmp_path: Path) -> None:
    def settings(words: list[str]) -> dict[str, str]:
        wanted = ("--maxmemory", "--maxmemory-policy", "--appendonly")
        return {word: words[place + 1] for place, word in enumerate(words) if word in wanted}

    embedded = RedisServer(tmp_path, durable=True).arguments()
    assert settings(compose["services"]["redis"]["command"]) == settings(embedded)


def test_the_containers_run_what_script_up_runs(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    served = ast.literal_eval([rest for name, rest in dockerfile if name == "CMD"][-1])
    here = [word.replace("127.0.0.1", "0.0.0.0") for word in plan.Plan().web(8000)[1:]]  # noqa: S104
    assert served[1:] == here
    for name, argv in plan.Plan().workers.items():
        assert compose["services"][name]["command"][1:] == list(argv[1:])
    prepared = [shlex.split(part)[2] for part in compose["services"]["prepare"]["command"][2].split("&&")]
    assert prepared == [step.name for step in plan.Plan().steps if not step.demo]


def test_targets_of_the_compose_file_are_stages_and_the_product_is_the_last(
    compose: dict[str, Any], dockerfile: list[list[str]]
) -> None:
    stages = [rest.split(" AS ")[1] for name, rest in dockerfile if name == "FROM"]
    targets = {service["build"]["target"] for service in compose["services"].values() if "build" in service}
    assert targets <= set(stages)
    assert stages[-1] == "product"
    used = {part.split("=")[1] for _, rest in dockerfile for part in rest.split() if part.startswith("--from=")}
    assert used <= set(stages)


def test_what_is_copied_exists_and_reaches_the_builder(dockerfile: list[list[str]]) -> None:
    rules = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [
        source for name, rest in dockerfile if name == "COPY" and "--from=" not in rest for source in rest.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (PROJECT / source).exists(), source
        assert f"!{source}" in rules or f"!{source}/" in rules, f"{source} is left out by .dockerignore"


def test_no_secret_goes_to_the_builder() -> None:
    """In .dockerignore the last matching rule decides, so the rules that exclude secrets are at the end."""
    rules = [
        line
        for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").split("\n")
        if line[:1] not in {"#", ""}
    ]
    last_let_in = max(place for place, rule in enumerate(rules) if rule.startswith("!"))
    assert rules[0] == "*"
    assert {"**/.env", "**/.env.*", "**/secret_key", "**/*.pem", "**/*.key"} <= set(rules[last_let_in + 1 :])


def test_every_package_of_the_product_is_in_its_image(dockerfile: list[list[str]]) -> None:
    copied = {word for name, rest in dockerfile if name == "COPY" for word in rest.split()}
    wanted = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - {"embedded", "harness"}
    assert wanted <= copied


def test_nothing_in_the_image_runs_as_root(dockerfile: list[list[str]]) -> None:
    stages: dict[str, str] = {}
    stage = ""
    for name, rest in dockerfile:
        if name == "FROM":
            stage = rest.split(" AS ")[1]
        elif name == "USER":
            stages[stage] = rest
    assert stages == {"emulator": "academy", "product": "academy"}


def test_the_image_has_the_uv_that_the_scripts_use(dockerfile: list[list[str]]) -> None:
    script = (PROJECT / "script" / "environment.sh").read_text(encoding="utf-8")
    version = re.search(r"^UV_VERSION=(\S+)$", script, re.MULTILINE)
    assert version is not None
    assert [rest for _, rest in dockerfile if f"uv=={version.group(1)}" in rest]


def test_the_example_names_every_variable_with_its_default() -> None:
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    named = dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    assert set(named) == KNOWN | OTHERS
    for name, field in Environment.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if not field.is_required():
            assert named[name.upper()] == as_written(default), name.upper()


def as_written(default: Any) -> str:
    if isinstance(default, list):
        return ",".join(default)
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default is None else str(default)
