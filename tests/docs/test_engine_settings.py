"""Tests that the code contains each default of the engine's settings only once.

Also tests that the README of the engine and the class `Environment` name the same defaults.
"""

import re
from dataclasses import fields
from typing import Any

import pytest
from pydantic import SecretStr

from config.environment import Environment
from embedded.home import PROJECT
from realtime.settings import REQUIRED, Settings, variable
from tests.docs.pages import page

ROWS = {row[0].strip("`"): row[1] for row in page("realtime/README.md").rows("setting")}
DEFAULTS = {variable(field.name): getattr(Settings(), field.name) for field in fields(Settings)}
NOTHING: tuple[Any, ...] = ("", (), {})
ELSEWHERE = {"WORKER_LEASE_SECONDS": "REALTIME_LEASE_SECONDS"}
"""Environment variables whose names differ from the names of the engine settings that they set."""
OF_THE_ENVIRONMENT = {
    ELSEWHERE.get(name.upper(), name.upper()): field.default
    for name, field in Environment.model_fields.items()
    if name.startswith("realtime_") or name.upper() in ELSEWHERE
}


def test_each_setting_of_the_engine_is_in_its_page_and_no_other() -> None:
    assert list(ROWS) == list(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_page_shows_the_default_of_a_setting(name: str) -> None:
    default, shown = DEFAULTS[name], ROWS[name].strip("`")
    if name in {variable(each) for each in REQUIRED}:
        assert (default, shown) == ("", "")
    elif isinstance(default, int | float):
        assert float(shown.replace(" ", "")) == default
    elif default in NOTHING:
        assert shown in {"none", "empty"}
    else:
        assert shown == {"REALTIME_SOURCE": "outbox/source.py"}.get(name, default)


def test_the_source_that_the_page_names_is_the_module_of_the_default() -> None:
    assert Settings.source.startswith("realtime.outbox.source.")


@pytest.mark.parametrize("name", OF_THE_ENVIRONMENT)
def test_a_variable_of_the_environment_has_the_default_of_its_setting(name: str) -> None:
    default = OF_THE_ENVIRONMENT[name]
    given = default.get_secret_value() if isinstance(default, SecretStr) else default
    assert (tuple(given) if isinstance(given, list) else given) == DEFAULTS[name]


def test_no_default_of_the_engine_is_written_beside_its_settings() -> None:
    """`config/environment.py` and all modules of the engine take each default from the class `Settings`."""
    environment = (PROJECT / "config" / "environment.py").read_text(encoding="utf-8")
    lines = re.findall(r"^    (?:realtime_\w+|worker_lease_seconds): .*$", environment, re.MULTILINE)
    assert len(lines) == len(OF_THE_ENVIRONMENT)
    assert [line for line in lines if "Engine." not in line] == []
    modules = [path for path in (PROJECT / "realtime").rglob("*.py") if path.name != "settings.py"]
    read_twice = [
        path.relative_to(PROJECT).as_posix()
        for path in modules
        if re.search(r"settings\.REALTIME_|getattr\(\w+, \"REALTIME_", path.read_text(encoding="utf-8"))
    ]
    assert read_twice == []
