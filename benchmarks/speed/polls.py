"""Measures requests: authenticated polls of a job's progress, which the product answers from Redis, and `/healthz`."""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.speed import processes
from benchmarks.speed.generator import Clients, connected
from benchmarks.speed.publisher import FIRST_TENANT
from benchmarks.speed.servers import SECRET, WEBSOCKET, Target, ours
from realtime.publish import Publisher

JOB = UUID("8a6f1d5e-5b0f-4c8e-9a43-0b6c3f0a1d22")
POLLS = {"progress": f"/api/v1/jobs/{JOB}/progress/", "healthz": "/healthz"}
_CLIENTS, _AHEAD_SECONDS = 20, 0.3


@dataclass(frozen=True)
class Polls:
    what: str
    a_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float

    @property
    def a_core(self) -> float:
        """The requests a second that one core can answer."""
        return 1e6 / self.cpu_us

    def __str__(self) -> str:
        times = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        return f"{self.what}: {self.cpu_us:.0f} µs CPU a request, {self.a_core:.0f}/s a core; {times}"

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "a_core": round(self.a_core)}


def measure(folder: Path, seconds: float) -> list[Polls]:
    """Poll with 20 clients, each of which sends its next request when it has the answer."""
    with ours(folder, WEBSOCKET, 1) as target:
        publisher = Publisher.from_url(target.publish_to)
        publisher.progress(
            tenant_id=FIRST_TENANT, topic=f"job:{JOB}", attempt=1, percent=42.0, data={"job_type": "demo"}
        )
        publisher.close()
        header = f"Authorization: Bearer {_access_token()}"
        return [_measure_one(target, folder, what, f"{path}\t{header}", seconds) for what, path in POLLS.items()]


def _measure_one(target: Target, folder: Path, what: str, request: str, seconds: float) -> Polls:
    with connected(Clients(target.port, "poll", [request], _CLIENTS), folder, processes.cores()[1]) as generator:
        begin = processes.now_us() + int(1e6 * _AHEAD_SECONDS)
        end = begin + int(1e6 * seconds)
        generator.announce(begin, end)
        processes.wait_until(begin)
        before = processes.cpu_us(target.pids)
        processes.wait_until(end)
        cpu = processes.cpu_us(target.pids) - before
        seen = generator.result()
    answered = max(1, seen["arrived"])
    return Polls(
        what, round(answered / seconds, 1), round(cpu / answered, 1), seen["p50_us"] / 1e3, seen["p99_us"] / 1e3
    )


def _access_token() -> str:
    """Return an access token of a teacher, as the sign-in gives it."""
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": SECRET}
    from academy.domain.roles import Role  # noqa: PLC0415 - Django's settings are read now
    from apps.core.tokens import Caller, access_token  # noqa: PLC0415

    session = UUID("0d7c8ef2-91b3-4f55-8a55-0f5c2f1f6a10")
    caller = Caller(
        1, session, FIRST_TENANT, "bench", Role.OWNER, "bench", must_change_password=False, issued_at=time.time()
    )
    return access_token(caller)
