"""Reports what this process counts, and publishes the figures of the system while somebody watches them.

The figures are records of the topic `stats:now`. A tenant's figures are in the tenant's own feed, and the figures of
the whole system in the feed of `SYSTEM_TENANT`. So a page watches figures as it watches a job, and nothing polls.
"""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from redis.exceptions import RedisError

from realtime import conf
from realtime.connect.connections import Connections
from realtime.feed.hub import Hub
from realtime.publish.reports import REPORT_SECONDS, WATCHED_REPORT_SECONDS, Reporter
from realtime.redis import links
from realtime.web.measurer import Measurer

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""The interval, in seconds, at which this process checks whether one of its clients has begun to watch figures."""


class Figures:
    """The reports and the measurer of one web process."""

    def __init__(self, hub: Hub, connections: Connections, polls: Connections) -> None:
        self._hub, self._connections, self._polls = hub, connections, polls
        self._redis = links.client(conf.redis_url(), socket_timeout=1.0, socket_connect_timeout=1.0)
        self._reporter = Reporter(self._redis, key_prefix=conf.key_prefix(), kind="web")
        self._measurer = Measurer(self._redis, self._reporter.process)
        self._executor = ThreadPoolExecutor(1, "realtime-figures")
        self._watched = False
        """Whether a client of any process watches figures, as far as this process knows."""

    async def run(self) -> None:
        """Report every few seconds until cancelled.

        Report early if a client watches figures that no client of this process watched at the last report.
        """
        loop = asyncio.get_running_loop()
        due, before = loop.time(), [0]
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            here = self._hub.watching_figures()
            if loop.time() < due and not set(here) - set(before):
                continue
            before = here
            fields = {"watched": here, "connections": self._by_tenant() if self._watched or here else {}}
            try:
                self._watched = await loop.run_in_executor(self._executor, partial(self._round, fields))
            except (RedisError, OSError) as problem:
                log.debug("figures_failed", error=str(problem))
            except Exception:
                log.exception("figures_failed")
            due = loop.time() + (WATCHED_REPORT_SECONDS if self._watched or here else REPORT_SECONDS) - LOOK_SECONDS / 2

    def close(self) -> None:
        self._executor.shutdown(wait=False)

    def _by_tenant(self) -> dict[int, Counter[str]]:
        """Return how many connections each tenant has in this process, by transport."""
        found = {tenant_id: Counter(transports) for tenant_id, transports in self._connections.by_tenant.items()}
        for tenant_id, transports in self._polls.by_tenant.items():
            found.setdefault(tenant_id, Counter()).update(transports)
        return found

    def _round(self, fields: dict[str, Any]) -> bool:
        watched = self._reporter.report(fields, watching=bool(fields["watched"]))
        if fields["watched"]:
            self._measurer.measure()
        return watched
