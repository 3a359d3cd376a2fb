"""PostgreSQL restarts under load: as soon as it accepts connections again, no new request is refused."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from redis import Redis

from embedded.group import Servers
from embedded.postgres import PostgresServer
from embedded.scratch import scratch_folder
from harness.system import System, prepare_migrated, prepare_template, running_system

CLIENTS = 12


@pytest.fixture(scope="module")
def restartable(template: Servers) -> Iterator[System]:
    """Run a product with a PostgreSQL of its own."""
    with scratch_folder("restarted") as folder:
        postgres = PostgresServer(folder / "postgres")
        postgres.start()
        try:
            postgres.wait_ready()
            own = Servers({**template.by_name, "postgres": postgres})
            with Redis.from_url(template.redis.url) as redis:
                redis.flushdb()  # another database has used it: there, jobs with the same ids may have ended
            prepare_migrated(own)
            prepare_template(own)
            with running_system(own, folder, "restarted") as system:
                yield system
        finally:
            postgres.stop()


@dataclass
class Load:
    """Several threads, each of which sends one request after another."""

    address: str
    headers: dict[str, str]
    answers: list[tuple[float, int]] = field(default_factory=list)
    """For each request, when it began (in monotonic seconds), and the status of its response."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def count(self, status: int, since: float = 0.0) -> int:
        return sum(found == status and began >= since for began, found in self.answers)

    def wait_for(self, status: int, number: int, since: float = 0.0) -> None:
        deadline = time.monotonic() + 120
        while self.count(status, since) < number:
            assert time.monotonic() < deadline, f"{number} answers {status} were waited for in vain"
            time.sleep(0.02)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._send_requests) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _send_requests(self) -> None:
        with httpx.Client(base_url=self.address, headers=self.headers, timeout=60) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                self.answers.append((began, client.get("/api/v1/lectures/").status_code))


def restart(postgres: PostgresServer, load: Load) -> None:
    postgres.restart()


def crash(postgres: PostgresServer, load: Load) -> None:
    postgres.kill()
    postgres.start()
    postgres.wait_ready(120)


def long_outage(postgres: PostgresServer, load: Load) -> None:
    """Keep PostgreSQL down until many requests were refused. By then the pool no longer retries by itself."""
    postgres.stop()
    load.wait_for(503, 5 * CLIENTS)
    postgres.start()
    postgres.wait_ready(120)


@pytest.mark.parametrize("fault", [restart, crash, long_outage])
def test_no_request_that_begins_after_the_restart_is_refused(
    restartable: System, fault: Callable[[PostgresServer, Load], None]
) -> None:
    load = load_of(restartable)
    with load.running():
        load.wait_for(200, 5 * CLIENTS)
        fault(restartable.postgres, load)
        again = time.monotonic()
        load.wait_for(200, 5 * CLIENTS, since=again)
    assert {status for began, status in load.answers if began >= again} == {200}


def test_an_idle_system_serves_its_next_requests(restartable: System) -> None:
    before, afterwards = load_of(restartable), load_of(restartable)
    with before.running():
        before.wait_for(200, 5 * CLIENTS)  # uses every connection of the pool
    restartable.postgres.restart()
    with afterwards.running():
        afterwards.wait_for(200, 5 * CLIENTS)
    assert {status for _, status in before.answers + afterwards.answers} == {200}


def test_an_idle_worker_does_its_next_job(restartable: System) -> None:
    headers = {"Authorization": f"Bearer {restartable.access_token('hanbit', 'owner')}"}
    with httpx.Client(base_url=restartable.address, headers=headers, timeout=60) as client:
        export(client)
        restartable.postgres.restart()
        seen = len(restartable.worker.log_file.read_bytes())
        export(client)
    assert b"database_unavailable" not in restartable.worker.log_file.read_bytes()[seen:]


def load_of(system: System) -> Load:
    return Load(system.address, {"Authorization": f"Bearer {system.access_token('hanbit', 'owner')}"})


def export(client: httpx.Client) -> None:
    job_id = client.post("/api/v1/students/export/", json={}).json()["job_id"]
    deadline = time.monotonic() + 120
    while (job := client.get(f"/api/v1/jobs/{job_id}/").json())["status"] != "DONE":
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
