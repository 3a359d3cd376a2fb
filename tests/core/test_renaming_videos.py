"""Tests of renaming videos over HTTP."""

from typing import Any

import pytest
from django.test import Client

from academy.domain.roles import Role
from apps.core.models import Tenant
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.models import Video
from tests.core.conftest import Asks


def make_video(tenant: Tenant, status: str = "READY") -> Video:
    lecture = Lecture.objects.create(tenant=tenant, title="L")
    session = Session.objects.create(tenant=tenant, lecture=lecture, title="1", order=1)
    path = f"videos/{tenant.pk}/7/1/master.m3u8" if status == "READY" else ""
    return Video.objects.create(tenant=tenant, session=session, title="V", status=status, hls_path=path)


def rename(client: Client, video: Video, **fields: Any) -> Any:
    return client.patch(f"/media/videos/{video.pk}/", fields, content_type="application/json")


@pytest.mark.parametrize("role", [Role.OWNER, Role.STAFF, Role.TEACHER])
def test_the_faculty_rename_a_video_which_plays_as_before(asks: Asks, tenant: Tenant, role: Role) -> None:
    video = make_video(tenant)
    before = asks(role).get(f"/media/videos/{video.pk}/").json()
    answer = rename(asks(role), video, title="새 제목")
    assert (answer.status_code, answer.json()["title"]) == (200, "새 제목")
    assert answer.json()["hls_url"].split("~")[0] == before["hls_url"].split("~")[0]


def test_a_video_that_has_not_ended_and_a_wrong_title_are_refused(asks: Asks, tenant: Tenant) -> None:
    video = make_video(tenant, "PROCESSING")
    answer = rename(asks(), video, title="새 제목")
    assert (answer.status_code, answer.json()["code"]) == (409, "video_not_ended")
    for title in ("", "가" * 101, "\0", None):
        assert rename(asks(), make_video(tenant), title=title).status_code == 400


def test_students_and_other_academies_rename_nothing(asks: Asks, tenant: Tenant) -> None:
    mine, foreign = make_video(tenant), make_video(Tenant.objects.create(code="saebom", name="Saebom"))
    assert [rename(asks(role), mine, title="x").status_code for role in (Role.STUDENT, Role.PARENT)] == [403, 403]
    assert rename(asks(), foreign, title="x").status_code == 404
    assert set(Video.objects.values_list("title", flat=True)) == {"V"}
