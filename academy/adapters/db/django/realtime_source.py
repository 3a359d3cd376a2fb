"""The source of the push engine: it reads the true states of jobs and videos from the database."""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from academy.adapters.db.django import repositories_ai, repositories_core, repositories_video
from realtime.records.source import TopicState

UNFINISHED = ("PENDING", "PROCESSING")
ENDED_JOB = ("DONE", "FAILED", "CANCELLED")
ENDED_VIDEO = ("READY", "FAILED", "CANCELLED")
CHUNK = 500

Row = TypeVar("Row", bound=Model)
_VIDEO_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class AcademySource:
    """Implements `realtime.records.source.Source`. Reads across tenants, because the engine repairs all feeds."""

    kinds = ("job", "video")

    def tenants(self) -> list[int]:
        return repositories_core.all_tenant_ids()

    def tenant_id(self, code: str) -> int | None:
        return repositories_core.find_tenant_id(code)

    def user_id(self, tenant_id: int, name: str) -> int | None:
        return repositories_core.find_user_id(tenant_id, name)

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterator[TopicState]:
        jobs = repositories_ai.jobs_of_tenants(tenant_ids).filter(status__in=UNFINISHED).order_by("updated_at")
        videos = repositories_video.videos_of_tenants(tenant_ids).filter(status__in=UNFINISHED).order_by("updated_at")
        return heapq.merge(
            map(
                repositories_ai.state_of, list(jobs)
            ),  # `list`, so that no cursor stays open while the engine writes to Redis
            map(repositories_video.state_of, list(videos)),
            key=attrgetter("published_at"),
        )

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterator[TopicState]:
        from_then_on = datetime.fromtimestamp(since, UTC)
        jobs = repositories_ai.jobs_of_tenants(tenant_ids).filter(status__in=ENDED_JOB, finished_at__gte=from_then_on)
        videos = repositories_video.videos_of_tenants(tenant_ids).filter(
            status__in=ENDED_VIDEO, finished_at__gte=from_then_on
        )
        yield from map(repositories_ai.state_of, _in_pages(jobs))
        yield from map(repositories_video.state_of, _in_pages(videos))

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        jobs = repositories_ai.jobs_by_id(_job_ids(topics))
        videos = repositories_video.videos_by_id(_video_ids(topics))
        found = [*map(repositories_ai.state_of, jobs), *map(repositories_video.state_of, videos)]
        return {state.topic: state for state in found}


def _in_pages(rows: QuerySet[Row]) -> Iterator[Row]:
    """Yield the rows in the order of their ids. Reads them in pages, so that no cursor stays open between two rows."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        yield from page
        last = page[-1].pk


def _job_ids(topics: Iterable[str]) -> list[UUID]:
    """Return the ids of the topics of the form `job:<UUID>`. Other topics are left out."""
    ids = []
    for topic in topics:
        kind, _, ident = topic.partition(":")
        try:
            if kind == "job":
                ids.append(UUID(ident))
        except ValueError:
            continue
    return ids


def _video_ids(topics: Iterable[str]) -> list[int]:
    idents = (topic.removeprefix("video:") for topic in topics if topic.startswith("video:"))
    return [int(ident) for ident in idents if _VIDEO_ID.fullmatch(ident)]
