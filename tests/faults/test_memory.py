"""The memory of a web process stays level over many mixed requests, accepted uploads of videos included.

`script/test --faults` sends 10,000 requests with videos of up to 60 MB, CI 240 with videos of up to 20 MB.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.mixed_requests import MB, MIX, WITHOUT_LIMITS, Memory, MixedRequests
from harness.system import System, running_system

LONG = bool(os.environ.get("LONG_FAULTS"))
ROUNDS, REQUESTS = (10, 1000) if LONG else (2, 120)
VIDEO_BYTES = [size * MB for size in (5, 9, 10, 12, 15, 20, *((30, 40, 60) if LONG else ()))]
MOST_AFTER_THE_FIRST_ROUND = 1.4
"""The most memory after the first round, as a multiple of the memory before it.

The first round starts threads, opens links, allocates buffers and loads libraries.
"""
MOST_AFTER_THE_LAST_ROUND = 1.1
"""The most memory after any later round, as a multiple of the memory after the first round."""

pytestmark = pytest.mark.slow


@pytest.fixture
def lone_system(template: Servers) -> Iterator[System]:
    """Run a product with its own bucket, because the test deletes files there and leaves its videos unencoded."""
    with scratch_folder("system") as folder:
        with running_system(template, folder, "memory_system", S3_BUCKET="memory") as running:
            yield running


async def test_memory_stays_level_over_mixed_requests(lone_system: System, tmp_path: Path) -> None:
    with lone_system.another_web(**WITHOUT_LIMITS) as web:
        mixed = MixedRequests(lone_system, web, tmp_path, VIDEO_BYTES)
        await mixed.prepare()
        seen = [Memory.of(web.pid)]
        for number in range(ROUNDS):
            await mixed.send(REQUESTS, seed=number)
            seen.append(Memory.of(web.pid))
            print(f"after {REQUESTS * (number + 1)} requests: {seen[-1]}")
    assert mixed.statuses.keys() == MIX.keys()
    assert mixed.statuses.pop("sign_in").keys() <= {200, 429}  # 429: too many sign-ins at once
    assert {status for statuses in mixed.statuses.values() for status in statuses} == {101, 200, 201, 202, 400}
    before, first, *later = (memory.resident for memory in seen)
    assert first < MOST_AFTER_THE_FIRST_ROUND * before, seen
    assert max(later) < MOST_AFTER_THE_LAST_ROUND * first, seen
