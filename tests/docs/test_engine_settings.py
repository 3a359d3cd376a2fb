"""The engine's own page lists each setting that the engine reads, with its default."""

import re

from embedded.home import PROJECT
from tests.docs.pages import page

CONF = (PROJECT / "realtime" / "conf.py").read_text(encoding="utf-8")
ROWS = {
    name: default
    for names, default, _ in page("realtime/README.md").rows("setting")
    for name, default in zip(
        re.findall(r"`(\w+)`", names), default.split(", ") if ", " in default else [default] * 9, strict=False
    )
}


def test_each_setting_that_the_engine_reads_is_in_its_page_and_no_other() -> None:
    assert set(ROWS) == set(re.findall(r"\bREALTIME_[A-Z_]+\b", CONF))


def test_the_defaults_of_numbers_are_those_of_the_page() -> None:
    defaults = re.findall(r'getattr\(settings, "(\w+)", ([\d_.]+)\)', CONF)
    assert len(defaults) >= 10
    assert [(name, float(ROWS[name].replace(" ", ""))) for name, _ in defaults] == [
        (name, float(default)) for name, default in defaults
    ]


def test_what_has_no_default_is_required() -> None:
    required = set(re.findall(r"settings\.(REALTIME_\w+)", CONF))
    assert {name for name, default in ROWS.items() if not default} == required
