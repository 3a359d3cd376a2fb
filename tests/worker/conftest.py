"""Fixtures with a worker's parts on real servers. Each test has its own queue, academy and handlers."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.core.files.storage import default_storage
from django.db import connections
from pytest_django import Settings
from redis import Redis

from academy import jobs
from academy.adapters.queue.sqs import AI_QUEUE, LONG_POLL_SECONDS, Delivery, SqsJobQueue, sqs_client
from academy.domain.jobs import ClaimedJob, job_topic
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.worker.delivery import Deliveries
from apps.worker.handlers import Handler, JobProgress
from apps.worker.running import RunningJobs
from apps.worker.stopping import Stopping
from apps.worker.store import AiJobs
from apps.worker.timing import Timing
from embedded.group import Servers
from realtime import conf

LEASE_SECONDS = 3.0
DRAIN_SECONDS = 60.0
QUICK = Timing(
    heartbeat_seconds=0.2, lease_seconds=LEASE_SECONDS, visibility_seconds=4, poll_seconds=1, retry_seconds=0.1
)
PATIENCE_SECONDS = 60

Do = Callable[[ClaimedJob, JobProgress], dict[str, Any]]


@dataclass
class Bench:
    """Sends messages, handles them like a worker, and shows the results."""

    queue: SqsJobQueue
    tenant: Tenant
    handlers: dict[str, Handler[ClaimedJob]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = AiJobs()
        self.running = RunningJobs(self.queue, self.store, QUICK)
        self.stopping = Stopping(DRAIN_SECONDS)
        self.stopping.polls_ended.set()  # only the test receives messages
        self.deliveries = Deliveries(self.queue, self.store, self.handlers, self.running, QUICK, self.stopping)

    def knows(self, do: Do, job_type: str = "test") -> None:
        self.handlers[job_type] = Handler(("step",), do)

    def submit(self, job_type: str = "test", **payload: Any) -> UUID:
        return jobs.submit(tenant_id=self.tenant.pk, job_type=job_type, payload=payload, created_by=None)

    def receive(self) -> Delivery:
        """Wait for the next message, and return it."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.queue.receive(1, LONG_POLL_SECONDS)):
            assert time.monotonic() < until, "No message came."
        (delivery,) = found
        return delivery

    def handle_next(self) -> Delivery:
        delivery = self.receive()
        self.deliveries.handle(delivery)
        return delivery

    def received_often(self, receives: int) -> Delivery:
        """Receive a message `receives` times, as if a worker had died after each time but the last. Return it."""
        delivery = self.receive()
        while delivery.receives < receives:
            self.queue.hide(delivery, 0)
            delivery = self.receive()
        return delivery

    def job(self, job_id: UUID) -> AIJob:
        return AIJob.objects.get(job_id=job_id)

    def state(self, job_id: UUID) -> tuple[str, int]:
        job = self.job(job_id)
        return job.status, job.attempt

    def record(self, job_id: UUID) -> dict[str, Any]:
        """Return the published record of a job."""
        record = conf.publisher().record(self.tenant.pk, job_topic(job_id))
        assert record is not None
        found: dict[str, Any] = json.loads(record.body)
        return found

    def send(self, body: str) -> None:
        """Send any text as a message, as another program might."""
        url = sqs_client().get_queue_url(QueueName=self.queue.name)["QueueUrl"]
        sqs_client().send_message(QueueUrl=url, MessageBody=body)

    def waiting(self) -> int:
        """Return the number of messages in the queue, including the hidden ones."""
        url = sqs_client().get_queue_url(QueueName=self.queue.name)["QueueUrl"]
        names: Any = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        found = sqs_client().get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in found.values())

    def dead(self) -> list[tuple[str, str]]:
        """Return the body and the reason of each dead letter."""
        url = sqs_client().get_queue_url(QueueName=self.queue.dead_letter_name)["QueueUrl"]
        answer = sqs_client().receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["reason"])
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in answer.get("Messages", [])
        ]


B = TypeVar("B", bound=Bench)


@pytest.fixture
def bench(transactional_db: None, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench_of(Bench, AI_QUEUE, settings, monkeypatch) as made:
        yield made


@contextmanager
def bench_of(kind: type[B], queue_name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[B]:
    """Yield a bench with short leases.

    Threads close their connections after each use, because open ones would prevent the deletion of the test database.
    """
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    settings.SQS_QUEUE_PREFIX = f"bench-{secrets.token_hex(6)}"
    settings.WORKER_VISIBILITY_SECONDS = QUICK.visibility_seconds
    settings.REALTIME_LEASE_SECONDS = LEASE_SECONDS
    forget_publisher()
    queue = SqsJobQueue(queue_name)
    queue.provision()
    yield kind(queue, Tenant.objects.create(code=f"t-{secrets.token_hex(8)}", name="Academy"))
    forget_publisher()


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, settings: Settings, servers: Servers, tmp_path: Path) -> None:
    """Use an empty storage, once in a folder and once in a bucket."""
    options: dict[str, Any] = {"location": str(tmp_path / "media")}
    backend = "academy.adapters.storage.backends.FolderStorage"
    if request.param == "bucket":
        backend = "academy.adapters.storage.backends.BucketStorage"
        options = {
            "bucket_name": f"test-{secrets.token_hex(8)}",
            "endpoint_url": servers.environment()["S3_ENDPOINT_URL"],
            "region_name": settings.AWS_REGION,
        }
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    if request.param == "bucket":
        region: Any = {"LocationConstraint": settings.AWS_REGION}
        default_storage.bucket.create(CreateBucketConfiguration=region)  # type: ignore[attr-defined]


def forget_publisher() -> None:
    """Close and forget the publisher, so that the next use makes another one with the present settings."""
    conf.publisher().close()
    conf.publisher.cache_clear()
