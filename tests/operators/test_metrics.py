"""The metrics of a running system: web process and worker each expose all metrics that the metrics page names."""

import asyncio
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.home import PROJECT
from embedded.ports import HOST, free_port
from embedded.scratch import scratch_folder
from harness.event_stream import EventStream
from harness.system import System, eventually_now, import_workbook, new_ticket, running_system
from realtime.operate.exposition import Exposed, serve_metrics
from realtime.publish import AsyncPublisher, Publisher
from realtime.records.metrics import counts
from tests.docs.pages import page

Samples = dict[str, dict[tuple[str, ...], float]]
METRICS = page("docs/reference/metrics.md").rows("metric")
OURS = ("realtime_", "academy_")


def families_of(address: str, **headers: str) -> list[Metric]:
    answer = httpx.get(f"{address}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return list(text_string_to_metric_families(answer.text))


def scrape(address: str, *names: str) -> Samples:
    """Return `{name of a sample: {values of its labels: value}}`.

    A process leaves out what it could not read within a second. Ask again until the samples with these names are there.
    """
    samples: Samples = {}

    def complete() -> bool:
        samples.clear()
        samples.update(scraped(address))
        return samples.keys() >= set(names)

    eventually_now(complete, f"the metrics {names}")
    return samples


def scraped(address: str) -> Samples:
    samples: Samples = {}
    for family in families_of(address):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return samples


def names_and_types(address: str) -> set[tuple[str, str]]:
    """Return names and types of the product's own metrics, written as on the metrics page."""
    families = [family for family in families_of(address) if family.name.startswith(OURS)]
    return {(family.name + "_total" * (family.type == "counter"), family.type) for family in families}


@pytest.fixture(scope="module")
def worker_address() -> str:
    return f"http://{HOST}:{free_port()}"


@pytest.fixture(scope="module")
def measured(template: Servers, worker_address: str) -> Iterator[System]:
    """Yield a running product whose worker also serves metrics."""
    port = worker_address.rpartition(":")[2]
    with scratch_folder("system") as folder:
        with running_system(template, folder, "measured_system", WORKER_METRICS_PORT=port) as running:
            yield running


def test_the_page_names_exactly_the_exposed_metrics_with_their_types(measured: System, worker_address: str) -> None:
    shown = {(row[0].strip("`"), row[1]) for row in METRICS}
    exposed: list[set[tuple[str, str]]] = []

    def complete() -> bool:  # a process leaves out what it could not read within a second
        exposed[:] = names_and_types(measured.address), names_and_types(worker_address)
        return all(shown <= names for names in exposed)

    eventually_now(complete, "all metrics")
    assert exposed == [shown, shown]


def test_the_page_names_every_label(measured: System) -> None:
    labels: dict[str, set[str]] = {row[0].strip("`"): set(re.findall(r"\w+", row[2])) for row in METRICS}
    for name, samples in labels_of(measured.address).items():
        assert samples <= labels[name], name


def labels_of(address: str) -> dict[str, set[str]]:
    return {
        family.name + "_total" * (family.type == "counter"): {label for s in family.samples for label in s.labels}
        for family in families_of(address)
        if family.name.startswith(OURS)
    }


async def test_a_watched_import_is_counted_in_both_processes(measured: System, worker_address: str) -> None:
    async with measured.client() as client:
        ticket = await new_ticket(client)
        async with (
            await measured.watcher(client) as watcher,
            await EventStream.open(ticket["events_url"], ticket["ticket"]) as stream,
        ):
            await stream.read_until("snapshot")
            await watcher.read_until("snapshot")
            job_id = await import_workbook(client, sample_workbook(30, seed=41))
            await watcher.until_terminal(f"job:{job_id}")
            await stream.until_terminal(f"job:{job_id}")
            (await client.get("/api/v1/jobs/")).raise_for_status()
            memory = ("realtime_redis_memory_bytes", "realtime_redis_memory_limit_bytes")
            web = await asyncio.to_thread(scrape, measured.address, *memory)
            worker = await asyncio.to_thread(scrape, worker_address)
    assert web["realtime_connections"] == {("websocket",): 1, ("sse",): 1, ("poll",): 0}
    received = [frame for client in (watcher, stream) for frame in client.frames if frame["type"] == "records"]
    assert received
    assert web["realtime_records_delivered_total"][()] >= sum(len(frame["records"]) for frame in received)
    assert web["realtime_publish_to_socket_seconds_count"][()] >= 1
    assert web["realtime_feed_reads_total"]["confirmed",] == 1
    assert web["realtime_records_published_total"]["accepted",] == 1  # the status PENDING, published after the commit
    assert worker["realtime_records_published_total"]["accepted",] >= 2
    assert web["realtime_sql_statements_total"]["/api/v1/students/import/",] >= 3
    assert web["realtime_sql_statements_total"]["/api/v1/jobs/",] >= 1
    assert web["realtime_sql_statements_total"]["/api/v1/realtime/ticket/",] == 0
    assert 0 < web["realtime_redis_memory_bytes"][()] < web["realtime_redis_memory_limit_bytes"][()]


async def test_publishes_that_redis_rejects_are_counted_by_their_reason(redis: Redis, tenant_id: int) -> None:
    before = Counter(counts.published)
    publisher = Publisher(redis)
    said = {"tenant_id": tenant_id, "topic": "job:a"}
    for attempt, status in ((2, "PENDING"), (2, "PROCESSING"), (2, "PENDING"), (1, "DONE"), (2, "DONE"), (2, "DONE")):
        publisher.status(**said, attempt=attempt, status=status)  # type: ignore[arg-type]
    async with AsyncPublisher.from_url(redis_url_of(redis)) as twin:
        await twin.status(**said, attempt=2, status="FAILED")  # type: ignore[arg-type]
    publisher.close()
    assert counts.published - before == {
        "accepted": 3,
        "duplicate": 1,
        "stale_attempt": 1,
        "status_regression": 1,
        "already_terminal": 1,
    }


def redis_url_of(redis: Redis) -> str:
    place = redis.connection_pool.connection_kwargs
    return f"redis://{place['host']}:{place['port']}/0"


async def test_the_age_of_the_outbox_is_that_of_its_oldest_unsent_row(measured: System) -> None:
    def ages() -> float:
        return scrape(measured.address, "realtime_outbox_age_seconds")["realtime_outbox_age_seconds"][()]

    assert await asyncio.to_thread(ages) < 60
    # The relay never sends an entry of an unknown kind, so the entry stays.
    measured.shell(
        "from realtime.models import OutboxEntry; from django.utils import timezone; from datetime import timedelta;"
        "e = OutboxEntry.objects.create(kind='nobody', tenant_id=1, payload={});"
        "OutboxEntry.objects.filter(pk=e.pk).update(created_at=timezone.now() - timedelta(hours=1))"
    )
    assert 3600 <= await asyncio.to_thread(ages) < 3700
    measured.shell("from realtime.models import OutboxEntry; OutboxEntry.objects.filter(kind='nobody').delete()")
    assert await asyncio.to_thread(ages) < 3600


def test_a_scrape_ends_while_redis_and_the_database_hang_without_their_metrics() -> None:
    hangs = threading.Event()

    def collect_slowly() -> dict[str, float]:
        hangs.wait(300)
        return {"realtime_outbox_age_seconds": 1.0}

    exposed = Exposed([collect_slowly, lambda: {"realtime_redis_memory_bytes": 5.0}, fails])
    for _ in range(2):  # the second scrape starts no second thread
        names = {family.name for family in exposed.collect()}
        assert "realtime_redis_memory_bytes" in names
        assert "realtime_outbox_age_seconds" not in names
        assert [thread.name for thread in threading.enumerate()].count("scrape") == 1
    hangs.set()


def fails() -> dict[str, float]:
    raise OSError("gone")


def test_metrics_with_a_token_require_it(measured: System) -> None:
    with measured.another_web(REALTIME_METRICS_TOKEN="t0ken") as web:
        assert httpx.get(f"{web.address}/metrics").status_code == 401
        assert families_of(web.address, Authorization="Bearer t0ken")


def test_publishing_does_not_need_prometheus_client() -> None:
    code = "import sys; import realtime.publish; print('prometheus_client' in sys.modules, 'django' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=PROJECT, text=True).split() == ["False", "False"]


def test_a_worker_whose_port_is_taken_logs_that_and_works(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        serve_metrics(port)
    serve_metrics(0)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "realtime.operate.exposition"]
    assert "metrics_not_served" in line
    assert str(port) in line


async def test_waiting_and_running_jobs_are_counted_by_queue(measured: System) -> None:
    def jobs() -> dict[str, float]:
        names = ("academy_jobs_waiting", "academy_jobs_running", "academy_jobs_oldest_waiting_seconds")
        samples = scrape(measured.address, *names)
        return {name.removeprefix("academy_jobs_"): samples[name]["messaging",] for name in names}

    before = await asyncio.to_thread(jobs)
    measured.query(  # no messaging worker runs here
        "INSERT INTO aijob (job_id, tenant_id, job_type, status, attempt, payload, created_at, updated_at)"
        " SELECT gen_random_uuid(), tenant.id, 'bulk_message', status, 1, '{}', now(), now() - interval '1 hour'"
        " FROM tenant, unnest(ARRAY['PENDING', 'PENDING', 'PROCESSING', 'DONE']) AS status"
        " WHERE code = 'saebom' RETURNING id"
    )
    after = await asyncio.to_thread(jobs)
    measured.query("DELETE FROM aijob WHERE job_type = 'bulk_message' RETURNING id")
    assert before == {"waiting": 0, "running": 0, "oldest_waiting_seconds": 0}
    assert (after["waiting"], after["running"]) == (2, 1)
    assert 3600 <= after["oldest_waiting_seconds"] < 3700
