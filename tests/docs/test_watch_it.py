"""Tests that the page "Watch it" lists all checks and all lines of the doctor, and names only metrics that exist."""

import re

import yaml

from embedded.home import PROJECT
from realtime.management.commands import doctor
from tests.docs.pages import page

WATCH_IT = page("docs/how-to/watch-it.md")
METRICS = {row[0].strip("`") for row in page("docs/reference/metrics.md").rows("metric")}


def test_every_system_check_is_in_the_page_and_nothing_else() -> None:
    code = (PROJECT / "realtime" / "operate" / "checks.py").read_text(encoding="utf-8")
    assert [row[0].strip("`") for row in WATCH_IT.rows("check")] == sorted(
        set(re.findall(r"realtime\.[EW]\d{3}", code))
    )


def test_the_page_shows_the_lines_of_the_doctor_in_their_order() -> None:
    (shown,) = WATCH_IT.fenced("text")
    names = [line.partition(":")[0].removeprefix("ok").strip() for line in shown.splitlines()]
    assert names == [name for name, _ in doctor.named_checks("http://127.0.0.1:8000")]


def test_alerts_and_their_words_speak_of_metrics_that_there_are() -> None:
    scrape, alerts = (yaml.safe_load(block) for block in WATCH_IT.fenced("yaml"))
    assert [job["job_name"] for job in scrape["scrape_configs"]] == ["academy_web", "academy_worker"]
    expressions = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    assert len(expressions) >= 5
    named = set(re.findall(r"realtime_\w+", " ".join([*expressions, *re.findall(r"sum\(rate\((\w+)", WATCH_IT.prose)])))
    assert {re.sub("_bucket$", "", name) for name in named} <= METRICS
