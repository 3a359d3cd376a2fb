"""Runs the Python blocks of the documentation, with a real Redis or a running system."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.home import PROJECT
from harness.system import System, eventually, import_workbook
from realtime.protocol.frames import snapshot
from realtime.protocol.place import Place
from realtime.publish import Publisher
from realtime.records.transitions import Status
from tests.docs.claims import claimed_by
from tests.docs.pages import blocks, page
from tests.docs.scripts import pointed_at, publishing_to_hanbit, run_python, running_script, write_run_files

WITHOUT_DJANGO = "\nimport sys\nassert 'django' not in sys.modules\n"
LEFT_BEHIND = {"docs/how-to/publish-from-your-worker.md#python-1": "report:2026-11"}
PRINTED = {"docs/how-to/publish-from-your-worker.md#python-2": "another attempt has taken over: stop\n"}


@pytest.mark.parametrize("name", claimed_by("test_a_publishing_block_runs_without_django"))
def test_a_publishing_block_runs_without_django(
    name: str, servers: Servers, redis: Redis, publisher: Publisher, tmp_path: Path
) -> None:
    output = run_python(pointed_at(blocks()[name], redis_url=servers.redis.url) + WITHOUT_DJANGO, tmp_path)
    assert output == PRINTED.get(name, "")
    if name in LEFT_BEHIND:
        record = publisher.record(7, LEFT_BEHIND[name])
        assert record is not None
        assert record.status is Status.DONE


def test_a_state_leaves_through_the_outbox_as_shown(system: System) -> None:
    text = blocks()["docs/how-to/publish-from-your-worker.md#python-3"]
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", text]
    subprocess.run(command, cwd=PROJECT, env=system.environment, check=True)
    publisher = Publisher.from_url(system.redis.url)
    record = publisher.record(7, "report:2027-01")
    publisher.close()
    assert record is not None
    assert record.status is Status.DONE


def test_the_readme_publishes_from_the_projects_folder_to_a_running_system(system: System, tmp_path: Path) -> None:
    """The block runs as a user runs it: in a folder with `realtime/` and `.academy/`, and with an empty PYTHONPATH."""
    (tmp_path / "realtime").symlink_to(PROJECT / "realtime")
    (tmp_path / ".academy").mkdir()
    write_run_files(system, tmp_path / ".academy")
    ((hanbit,),) = system.query("SELECT id FROM tenant WHERE code = 'hanbit'")
    with Redis.from_url(system.redis.url) as redis, Publisher.from_url(system.redis.url) as publisher:
        before = reports_of(hanbit, redis)  # other tests share this system
        for run in (1, 2):  # the block can be run again, and publishes another report
            assert run_python(blocks()["README.md#python-1"] + WITHOUT_DJANGO, tmp_path, PYTHONPATH="") == ""
            assert len(reports_of(hanbit, redis) - before) == run
        records = [publisher.record(hanbit, topic) for topic in reports_of(hanbit, redis) - before]
    assert all(record is not None and record.status is Status.DONE for record in records)


def reports_of(tenant: int, redis: Redis) -> set[str]:
    """Return the topics of the tenant's feed that begin with `report:`."""
    topics = cast("list[bytes]", redis.zrange(f"tenant:{tenant}:feed:index", 0, -1))
    return {topic.decode() for topic in topics if topic.startswith(b"report:")}


def test_the_readme_saves_its_scripts_under_the_names_by_which_it_runs_them() -> None:
    text = page("README.md").text
    for script in ("publish.py", "watch.py"):
        assert re.search(rf"[Ss]ave (this|it) as\s`{script}`", text)
        assert f"`.venv/bin/python {script}`" in text


async def test_the_readme_watches_an_import(system: System, tmp_path: Path) -> None:
    text = pointed_at(blocks()["README.md#python-2"], address=system.address)
    async with running_script(text, tmp_path) as lines, system.client() as client:
        job_id = await import_workbook(client, sample_workbook(300, seed=11))
        await lines.until(f"job:{job_id} DONE")


async def test_the_tutorial_works_from_its_first_to_its_last_step(system: System, tmp_path: Path) -> None:
    named = {name: pointed_at(blocks()[f"docs/tutorial.md#python-{name}"], address=system.address) for name in "123"}
    await system.until_idle()  # the script prints the end of any job
    with publishing_to_hanbit(system) as publish:
        async with running_script(named["1"], tmp_path) as lines, system.client() as client:
            await lines.until("welcome")
            await lines.until("snapshot")
            await lines.until(f"{publish('job:after-the-snapshot', 'DONE')} DONE")
            await import_workbook(client, sample_workbook(2000, seed=12))
            assert "'failed': " in await lines.until(" DONE ")
        async with running_script(named["2"], tmp_path) as lines:
            await lines.until("everything")
            first = publish("job:twice", "PROCESSING")
            await lines.until(f"{first} PROCESSING")
            # The script stores its place after it has printed the record. Do not end the script before that.
            await eventually(lambda: remembered(tmp_path / "place.txt") >= first)
        between, last = publish("job:twice", "PROCESSING"), publish("job:twice", "DONE")
        async with running_script(named["2"], tmp_path) as lines:
            await lines.until("only what changed")
            await lines.until(f"{last} DONE")
            assert not any(f"{between} " in line for line in lines.seen)
    assert run_python(named["3"], tmp_path).startswith("line ")


def remembered(place: Path) -> int:
    """Return the offset of the place in this file, or 0 while the file is not written completely."""
    parts = place.read_text().split(".") if place.exists() else []
    return int(parts[1]) if len(parts) == 3 else 0


@pytest.mark.parametrize(("script", "number"), [("watch_all.py", 2), ("watch_on.py", 3), ("failed.py", 4)])
def test_the_tutorial_runs_its_scripts_by_the_names_it_gave_them(script: str, number: int) -> None:
    assert blocks()[f"docs/tutorial.md#sh-{number}"] == f".venv/bin/python {script}\n"
    assert f"save this as `{script}`" in page("docs/tutorial.md").text.lower()


async def test_the_client_of_the_page_comes_through_a_restart_and_misses_nothing(
    system: System, tmp_path: Path
) -> None:
    protocol = "docs/reference/realtime-protocol.md"
    (tmp_path / "fold.py").write_text(blocks()[f"{protocol}#python-1"], encoding="utf-8")
    with system.another_web() as web, publishing_to_hanbit(system) as publish:
        text = pointed_at(blocks()[f"{protocol}#python-2"], address=web.address)
        async with running_script(text, tmp_path) as lines:
            await lines.until("live: everything")
            publish("page:before", "PROCESSING")
            await lines.until("page:before PROCESSING")
            web.stop()  # ends gracefully
            await lines.until("because of 1012")
            publish("page:before", "DONE")
            publish("page:meanwhile", "DONE")
            web.start()
            await lines.until("live: what changed")
            web.kill()  # ends like a crash
            await lines.until("because of 1006")
            web.start()
            await lines.until("live: what changed")
            publish("page:after", "DONE")
            await lines.until("page:after DONE")
    told = [line for line in lines.seen if line.startswith("page:")]
    assert told == ["page:before PROCESSING", "page:before DONE", "page:meanwhile DONE", "page:after DONE"]


async def test_the_client_of_the_page_asks_by_name_for_what_a_redis_that_lost_it_shows_no_more(
    own_system: System, tmp_path: Path
) -> None:
    protocol = "docs/reference/realtime-protocol.md"
    (tmp_path / "fold.py").write_text(blocks()[f"{protocol}#python-1"], encoding="utf-8")
    with publishing_to_hanbit(own_system) as publish:
        text = pointed_at(blocks()[f"{protocol}#python-2"], address=own_system.address)
        async with running_script(text, tmp_path) as lines:
            await lines.until("live: everything")
            publish("page:lost", "PROCESSING")
            await lines.until("page:lost PROCESSING")
            with Redis.from_url(own_system.redis.url) as redis:
                redis.flushall()
            publish("page:new", "DONE")
            await lines.until("live: everything")
            await lines.until("page:lost UNKNOWN")


def _fold() -> Any:
    (name,) = claimed_by("test_the_fold_of_the_page_holds_what_the_contract_says")
    scope: dict[str, Any] = {}
    exec(compile(blocks()[name], name, "exec"), scope)  # noqa: S102 - our own page
    return scope["Fold"]()


def _record(topic: str, attempt: int, status: str, offset: int = 1) -> dict[str, Any]:
    return {"topic": topic, "attempt": attempt, "status": status, "offset": offset}


def _snapshot(*records: dict[str, Any], recovered: bool = False, more: bool = False) -> dict[str, Any]:
    place = {} if more else {"place": "e.1.f"}
    return {"type": "snapshot", **place, "recovered": recovered, "more": more, "records": list(records)}


def test_the_fold_of_the_page_holds_what_the_contract_says() -> None:
    fold = _fold()
    running, done, old = _record("job:a", 1, "PROCESSING"), _record("job:b", 1, "DONE"), _record("job:c", 2, "PENDING")
    fold.apply(_snapshot(running, done, old))
    fold.apply({"type": "records", "place": "e.2.f", "records": [_record("job:c", 1, "DONE")]})
    assert fold.records["job:c"] == old
    assert fold.place == "e.2.f"
    fold.apply(_snapshot(recovered=True))
    assert not fold.doubtful
    fold.apply(_snapshot(_record("job:c", 2, "PROCESSING")))
    assert fold.doubtful == {"job:a", "job:b"}
    fold.apply({"type": "subscribed", "id": 1, "place": "e.3.f", "records": [_record("job:b", 1, "PENDING")]})
    assert fold.records["job:b"] == done
    unknown = {"topic": "job:a", "status": "UNKNOWN"}
    fold.apply({"type": "subscribed", "id": 1, "place": "e.3.f", "records": [unknown]})
    assert sorted(fold.records) == ["job:b", "job:c"]


def test_the_fold_of_the_page_takes_a_snapshot_in_parts_as_one() -> None:
    fold = _fold()
    bodies = [f'{{"topic":"job:{n}","attempt":1,"status":"PROCESSING","offset":{n}}}'.encode() for n in range(1, 9)]
    parts = [json.loads(part.body) for part in snapshot(Place("e", 8, "f"), bodies, recovered=False, max_bytes=150)]
    assert len(parts) > 2
    for part in parts:
        fold.apply(part)
    assert (len(fold.records), fold.doubtful, fold.place) == (8, set(), "e.8.f")
    for part in parts[:-1]:  # the connection ends before the last part arrives
        fold.apply(part)
    fold.apply({"type": "welcome", "connection": "c-2", "ping_seconds": 25, "expires_in": 3600})
    fold.apply(parts[-1])
    shown_last = {record["topic"] for record in parts[-1]["records"]}
    assert fold.doubtful == set(fold.records) - shown_last


def test_what_is_asked_for_by_name_and_unknown_does_not_stay() -> None:
    fold = _fold()
    fold.apply(_snapshot(_record("job:a", 1, "PROCESSING")))
    fold.apply(_snapshot({"topic": "job:a", "status": "UNKNOWN"}))
    assert fold.doubtful == {"job:a"}
