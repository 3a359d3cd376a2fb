"""Tests of who may watch which topics.

The faculty may watch any topic. A student and her parent may watch only her lectures and their videos.
"""

from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from structlog.testing import capture_logs

from academy.adapters.db.django import repositories_video
from academy.domain.roles import Role
from apps.core.models import Tenant, TenantMembership, User
from apps.core.topic_rules import MAX_NAMED_TOPICS, allowed_topics
from apps.domains.lectures.models import Enrollment, Lecture, Session
from apps.domains.students.models import Parent, Student
from apps.support.video.models import Video
from realtime.identity import Identity
from realtime.records.errors import ForbiddenTopicError


@dataclass
class School:
    """An academy with a student, her parent, and a lecture that she attends."""

    tenant: Tenant = field(default_factory=lambda: Tenant.objects.create(code=f"t-{uuid4()}"[:40], name="A"))

    def __post_init__(self) -> None:
        self.lecture = Lecture.objects.create(tenant=self.tenant, title="L")
        parent = Parent.objects.create(tenant=self.tenant, phone="01000000001", user=self.account(Role.PARENT))
        self.student = Student.objects.create(
            tenant=self.tenant, user=self.account(Role.STUDENT), parent=parent, name="S", parent_phone=parent.phone
        )
        Enrollment.objects.create(tenant=self.tenant, lecture=self.lecture, student=self.student)

    def account(self, role: Role) -> User:
        user = User.objects.create(tenant=self.tenant, username=f"{role}-{uuid4()}")
        TenantMembership.objects.create(tenant=self.tenant, user=user, role=role)
        return user

    def video(self, lecture: Lecture | None = None, status: str = "READY") -> str:
        lecture = lecture or self.lecture
        session = Session.objects.create(tenant=self.tenant, lecture=lecture, title="1", order=lecture.sessions.count())
        return f"video:{Video.objects.create(tenant=self.tenant, session=session, title='V', status=status).pk}"

    def identity(self, role: Role) -> Identity:
        user = {Role.STUDENT: self.student.user, Role.PARENT: self.student.parent.user}.get(role)
        return Identity(self.tenant.pk, user.pk if user else 1, "session", role.value)


@pytest.fixture
def school(db: None) -> School:
    return School()


@pytest.mark.parametrize("role", [Role.OWNER, Role.STAFF, Role.TEACHER])
def test_owner_staff_and_teacher_watch_everything_without_a_query(
    school: School, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert allowed_topics(school.identity(role), []) == ["*"]
        assert allowed_topics(school.identity(role), ["job:*"]) == ["job:*"]


@pytest.mark.parametrize("role", [Role.STUDENT, Role.PARENT])
def test_a_student_and_her_parent_watch_videos_of_her_lectures_by_one_query(
    school: School, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    named = [school.video() for _ in range(3)]
    identity = school.identity(role)
    with django_assert_num_queries(1):
        assert allowed_topics(identity, named) == named


@pytest.mark.parametrize("role", [Role.STUDENT, Role.PARENT])
@pytest.mark.parametrize(
    "topic", ["*", "video:*", "job:*", "job:1", "video:", "video:x", "video:٣", "video:-1", "video:999999999999999999"]
)
def test_a_student_watches_nothing_else(school: School, role: Role, topic: str) -> None:
    with pytest.raises(ForbiddenTopicError, match="may not watch"):
        allowed_topics(school.identity(role), [school.video(), topic])


@pytest.mark.parametrize("role", [Role.STUDENT, Role.PARENT])
def test_a_student_and_her_parent_watch_her_lectures_to_learn_of_new_videos(
    school: School, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    named = [f"lecture:{school.lecture.pk}", school.video()]
    identity = school.identity(role)
    with django_assert_num_queries(2):
        assert allowed_topics(identity, named) == named


def test_a_lecture_that_she_does_not_attend_or_of_another_academy_is_refused(school: School) -> None:
    other = School()
    Enrollment.objects.create(tenant=other.tenant, lecture=other.lecture, student=school.student)
    mine, identity = f"lecture:{school.lecture.pk}", school.identity(Role.STUDENT)
    foreign = f"lecture:{other.lecture.pk}"
    for topic in (foreign, f"lecture:{Lecture.objects.create(tenant=school.tenant, title='M').pk}", "lecture:*"):
        with capture_logs() as lines, pytest.raises(ForbiddenTopicError, match="may not watch"):
            allowed_topics(identity, [mine, topic])
        assert [line["subject"] for line in lines] == ([foreign] if topic == foreign else [])


def test_a_student_who_names_no_topic_gets_none(school: School) -> None:
    assert allowed_topics(school.identity(Role.STUDENT), []) == []


@pytest.mark.parametrize("role", [Role.STUDENT, Role.PARENT])
@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "FAILED", "CANCELLED"])
def test_a_video_that_is_not_ready_is_refused_as_the_list_of_videos_hides_it(
    school: School, role: Role, status: str
) -> None:
    topics = [school.video(), school.video(status=status)]
    identity = school.identity(role)
    with pytest.raises(ForbiddenTopicError, match=topics[1]):
        allowed_topics(identity, topics)
    listed = repositories_video.videos_watched_by(identity.tenant_id, identity.user_id)
    assert [f"video:{video.pk}" for video in listed] == topics[:1]


def test_a_video_of_a_lecture_that_she_does_not_attend_is_refused(school: School) -> None:
    other = school.video(Lecture.objects.create(tenant=school.tenant, title="M"))
    with pytest.raises(ForbiddenTopicError):
        allowed_topics(school.identity(Role.STUDENT), [school.video(), other])


def test_another_academys_video_is_refused_even_if_she_were_enrolled_there(school: School) -> None:
    other = School()
    Enrollment.objects.create(tenant=other.tenant, lecture=other.lecture, student=school.student)
    topic, identity = other.video(), school.identity(Role.STUDENT)
    with capture_logs() as lines, pytest.raises(ForbiddenTopicError):
        allowed_topics(identity, [topic, "video:999999999", school.video(status="FAILED")])
    noted = [(line["tenant"], line["user"], line["subject"]) for line in lines]
    assert noted == [(identity.tenant_id, identity.user_id, topic)]  # only this topic belongs to another academy


def test_a_deleted_student_and_her_parent_watch_nothing(school: School) -> None:
    topics = [school.video(), f"lecture:{school.lecture.pk}"]
    school.student.deleted_at = timezone.now()
    school.student.save()
    for role in (Role.STUDENT, Role.PARENT):
        for topic in topics:
            with pytest.raises(ForbiddenTopicError):
                allowed_topics(school.identity(role), [topic])


def test_up_to_forty_topics_may_be_named(school: School) -> None:
    topics = [school.video() for _ in range(MAX_NAMED_TOPICS + 1)]
    assert MAX_NAMED_TOPICS == 40
    assert allowed_topics(school.identity(Role.STUDENT), topics[:40]) == topics[:40]
    with pytest.raises(ForbiddenTopicError, match="at most 40"):
        allowed_topics(school.identity(Role.STUDENT), topics)


@pytest.mark.parametrize("topic", ["stats:now", "stats:*"])
def test_only_the_owner_watches_the_figures_of_the_academy(school: School, topic: str) -> None:
    assert allowed_topics(school.identity(Role.OWNER), [topic]) == [topic]
    for role in (Role.STAFF, Role.TEACHER, Role.STUDENT, Role.PARENT):
        with pytest.raises(ForbiddenTopicError):
            allowed_topics(school.identity(role), [topic])
