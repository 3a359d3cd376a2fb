"""Tests of a worker that was asked to stop: it finishes some jobs, and gives the others back, which is no failure."""

import csv
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from pytest_django import Settings

from academy.adapters.queue.sqs import Delivery
from academy.domain.jobs import EXCEL_PARSING, ClaimedJob
from apps.domains.ai.models import ImportedRow
from apps.domains.students.services.bulk_from_excel import CHUNK_ROWS
from apps.worker.ai_worker import excel_parsing
from apps.worker.ai_worker.dispatcher import HANDLERS
from apps.worker.chunk_report import ChunkReport
from apps.worker.handlers import JobProgress
from apps.worker.stopping import Stopping
from tests.worker.conftest import DRAIN_SECONDS, PATIENCE_SECONDS, Bench

ROWS = 5 * CHUNK_ROWS


@pytest.fixture
def workbook(bench: Bench, settings: Settings, tmp_path: Path) -> str:
    """Store a workbook with five chunks, let the bench handle imports, and return the name of the workbook."""
    local = {"BACKEND": "academy.adapters.storage.backends.FolderStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": local}
    bench.handlers[EXCEL_PARSING] = HANDLERS[EXCEL_PARSING]
    text = io.StringIO()
    people = [(f"학생{number}", f"010-5500-{number:04d}") for number in range(ROWS)]
    csv.writer(text).writerows([("이름", "학부모 전화"), *people])
    return default_storage.save(f"imports/{bench.tenant.pk}/list.csv", ContentFile(text.getvalue().encode()))


def submit(bench: Bench, workbook: str) -> UUID:
    return bench.submit(EXCEL_PARSING, file=workbook, file_name="list.csv", lecture_id=None)


class SlowImport(ChunkReport):
    """After two chunks of an import, asks the worker to stop. Reports `needs_seconds` as the remaining time."""

    stopping: Stopping
    needs_seconds: float

    def __call__(self, done: int, total: int) -> None:
        if done == 2 * CHUNK_ROWS:
            self.stopping.ask()
        super().__call__(done, total)

    def _remaining(self, done: int, total: int) -> float | None:
        return self.needs_seconds if done < total else None


@pytest.fixture
def stopped_after_two_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> type[SlowImport]:
    monkeypatch.setattr(SlowImport, "stopping", bench.stopping, raising=False)
    monkeypatch.setattr(excel_parsing, "ChunkReport", SlowImport)
    return SlowImport


def test_a_long_import_is_given_back_between_two_chunks_and_the_next_worker_continues_there(
    bench: Bench, workbook: str, stopped_after_two_chunks: type[SlowImport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped_after_two_chunks, "needs_seconds", 2 * DRAIN_SECONDS, raising=False)
    job_id = submit(bench, workbook)
    bench.handle_next()
    assert ImportedRow.objects.count() == 2 * CHUNK_ROWS
    assert bench.state(job_id) == ("PENDING", 2)
    assert (bench.record(job_id)["status"], bench.record(job_id)["attempt"]) == ("PENDING", 2)

    monkeypatch.setattr(excel_parsing, "ChunkReport", ChunkReport)
    again = bench.handle_next()  # at once, without waiting for a lease
    assert again.receives == 1
    assert (bench.state(job_id), bench.waiting()) == (("DONE", 2), 0)
    assert bench.record(job_id)["data"]["result"]["created"] == ROWS


def test_an_import_that_ends_in_time_is_finished(
    bench: Bench, workbook: str, stopped_after_two_chunks: type[SlowImport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped_after_two_chunks, "needs_seconds", DRAIN_SECONDS / 100, raising=False)
    job_id = submit(bench, workbook)
    bench.handle_next()
    assert (bench.state(job_id), bench.waiting()) == (("DONE", 1), 0)


def test_three_stops_in_a_row_do_not_use_up_the_tries_of_a_job(bench: Bench) -> None:
    attempts: list[int] = []

    def do(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
        attempts.append(job.attempt)
        if len(attempts) <= 3:
            progress.go_on(2 * DRAIN_SECONDS)
        return {}

    bench.knows(do)
    bench.stopping.ask()
    job_id = bench.submit()
    for _ in range(4):
        bench.handle_next()
    assert attempts == [1, 2, 3, 4]
    assert (bench.state(job_id), bench.dead()) == (("DONE", 4), [])


def test_asking_again_to_stop_does_not_give_more_time() -> None:
    stopping = Stopping(0.0)
    assert stopping.leaves_time_for(3600)
    stopping.ask()
    stopping.ask()
    assert not stopping.leaves_time_for(1)
    assert stopping.seconds_left == 0


def handle_next_and_disconnect(bench: Bench) -> None:
    bench.handle_next()
    connection.close()


def test_a_process_ends_only_after_all_jobs_were_given_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is still being given back when the drain ends."""
    begun, finish = threading.Event(), threading.Event()
    put_back = bench.queue.put_back

    def slow(delivery: Delivery, seconds: float) -> None:
        begun.set()
        assert finish.wait(PATIENCE_SECONDS)
        put_back(delivery, seconds)

    monkeypatch.setattr(bench.queue, "put_back", slow)

    def do(_job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
        progress.go_on(2 * DRAIN_SECONDS)
        raise AssertionError("it goes on")

    bench.knows(do)
    bench.stopping.ask()
    job_id = bench.submit()
    with ThreadPoolExecutor() as pool:
        handling = pool.submit(handle_next_and_disconnect, bench)
        assert begun.wait(PATIENCE_SECONDS)
        ending = pool.submit(bench.running.give_back_all)
        with pytest.raises(TimeoutError):
            ending.result(0.1)
        finish.set()
        ending.result(PATIENCE_SECONDS)
        assert bench.state(job_id) == ("PENDING", 2)
        assert bench.receive().receives == 1
        handling.result(PATIENCE_SECONDS)
