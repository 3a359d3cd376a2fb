"""`manage.py realtime_tail` against a running system: it prints the feed, and says when Redis cannot be reached."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.home import PROJECT
from harness.system import System, import_workbook, tenant_of
from realtime.operate.tail import line_of
from realtime.publish import Publisher, Step
from tests.docs.scripts import PATIENCE_SECONDS, Lines

LIVE = "New records follow."


class Tail:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.records = Lines(process)
        self._said: list[str] = []

    async def wait_for_message(self, text: str) -> None:
        """Wait until the command prints a line with `text` to stderr. Fail if the command ends first."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self.process.stderr.readline()).decode():
                self._said.append(line)
                if text in line:
                    return
        raise AssertionError(f"It ended without {text!r}: it said {self._said}.")


@asynccontextmanager
async def tailing(system: System, *words: str) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "realtime_tail", *words),
        cwd=PROJECT,
        env=system.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def publisher_of(system: System) -> Publisher:
    return Publisher.from_url(system.redis.url)


async def test_it_prints_the_feed_and_the_records_of_an_import_until_ctrl_c(system: System) -> None:
    with publisher_of(system) as publisher:
        publisher.status(tenant_id=tenant_of(system, "hanbit"), topic="tail:stands", attempt=1, status="PENDING")
    async with tailing(system, "--tenant", "hanbit") as tail, system.client() as client:
        await tail.wait_for_message(LIVE)
        assert "attempt 1  PENDING" in await tail.records.until("tail:stands")
        job_id = await import_workbook(client, sample_workbook(300, seed=45))
        await tail.records.until(f"job:{job_id}  attempt 1  DONE")
        with publisher_of(system) as publisher:  # of the import's own progress the feed may leave out any record
            publisher.progress(
                tenant_id=tenant_of(system, "hanbit"),
                topic="tail:stands",
                attempt=1,
                percent=60.0,
                step=Step(2, 2, "import"),
            )
        assert "%  2/2 import" in await tail.records.until("tail:stands")
        tail.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(tail.process.wait(), PATIENCE_SECONDS) == 0


async def test_json_of_some_topics_is_printed_as_browsers_receive_it(system: System) -> None:
    async with tailing(system, "--tenant", "saebom", "--topics", "tail:*", "--json") as tail:
        await tail.wait_for_message(LIVE)
        with publisher_of(system) as publisher:
            of_tenant: dict[str, Any] = {"tenant_id": tenant_of(system, "saebom"), "attempt": 1}
            publisher.status(**of_tenant, topic="other:1", status="DONE")
            publisher.status(**of_tenant, topic="tail:1", status="DONE", data={"x": 1})
        record = json.loads(await tail.records.until("{"))
    assert (record["topic"], record["status"], record["data"]) == ("tail:1", "DONE", {"x": 1})


async def test_it_says_when_redis_fails_and_returns_and_shows_what_was_missed(own_system: System) -> None:
    tenant_id = tenant_of(own_system, "hanbit")
    async with tailing(own_system, "--tenant", "hanbit") as tail:
        await tail.wait_for_message(LIVE)
        own_system.redis.kill()
        await tail.wait_for_message("Redis cannot be reached.")
        own_system.redis.start()
        own_system.redis.wait_ready()
        await tail.wait_for_message("Redis is back.")
        with publisher_of(own_system) as publisher:
            publisher.status(tenant_id=tenant_id, topic="tail:after", attempt=1, status="DONE")
        await tail.records.until("tail:after")


async def test_it_ends_without_an_error_if_its_output_is_closed(system: System) -> None:
    command = f"'{sys.executable}' manage.py realtime_tail --tenant hanbit --json | head -n 1"
    with publisher_of(system) as publisher:
        said: dict[str, Any] = {"tenant_id": tenant_of(system, "hanbit"), "status": "PENDING"}
        publisher.status(**said, topic="tail:first", attempt=1)
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=PROJECT,
            env=system.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        ended = asyncio.create_task(process.communicate())
        for attempt in range(2, 1000):
            publisher.status(**said, topic="tail:first", attempt=attempt)
            if (await asyncio.wait([ended], timeout=0.2))[0]:
                break
        out, error = await ended
    assert json.loads(out)
    assert "Traceback" not in error.decode()
    assert "BrokenPipe" not in error.decode()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["--tenant", "nobody"], "There is no tenant 'nobody'."), (["--tenant", "hanbit", "--topics", "A B"], "topic")],
)
def test_a_wrong_tenant_or_topic_is_answered_with_a_sentence(system: System, words: list[str], complaint: str) -> None:
    done = system.managed("realtime_tail", *words)
    assert done.returncode == 1
    assert complaint in done.stdout


def record(**more: Any) -> dict[str, Any]:
    return {"topic": "job:9", "attempt": 2, "status": "PROCESSING", "published_at": 1771234567.1234, **more}


def test_a_line_has_time_attempt_status_progress_and_error() -> None:
    progress = {"percent": 37.5, "step": vars_of(Step(3, 6, "transcode", 61.0)), "remaining_seconds": 80.2}
    line = line_of(record(progress=progress, stalled=True))
    assert [part.strip() for part in line.split("  ") if part.strip()] == [
        "09:36:07.123Z",
        "job:9",
        "attempt 2",
        "PROCESSING",
        "37.5 %",
        "3/6 transcode 61 %",
        "81 s left",
        "stalled",
    ]
    failed = line_of(record(status="FAILED", error={"code": "too_large", "message": "It has 60,000 rows."}))
    assert failed.endswith("FAILED      too_large: It has 60,000 rows.")
    assert line_of({"topic": "job:1", "status": "UNKNOWN"}).split() == ["job:1", "UNKNOWN"]


def vars_of(step: Step) -> dict[str, Any]:
    return {"index": step.index, "total": step.total, "name": step.name, "percent": step.percent}


def test_the_text_of_a_worker_cannot_move_the_cursor() -> None:
    error = {"code": "x", "message": "\x1b[2J\r\nimport 학생"}
    assert line_of(record(status="FAILED", error=error)).endswith("x: �[2J��import 학생")
