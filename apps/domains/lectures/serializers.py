"""The representations of lectures, lessons and enrolments in the API."""

from typing import Any

from rest_framework import serializers

from academy.domain.lectures import MAX_ENROLLED_AT_ONCE
from apps.core.id_lists import IdListField
from apps.domains.lectures.models import Enrollment, Lecture, Session


class LectureSerializer(serializers.ModelSerializer[Lecture]):
    student_count = serializers.IntegerField(read_only=True, default=0)
    video_count = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = Lecture
        fields = (
            "id",
            "title",
            "description",
            "active",
            "student_count",
            "video_count",
            "video_changes",
            "created_at",
        )
        read_only_fields = ("video_changes",)


class MyLectureSerializer(serializers.ModelSerializer[Lecture]):
    """A lecture, as its students and their parents see it."""

    students = serializers.SerializerMethodField(help_text="The names of those who attend it.")
    video_count = serializers.IntegerField(help_text="How many of its videos can be played.")

    class Meta:
        model = Lecture
        fields = ("id", "title", "description", "students", "video_count", "video_changes")

    def get_students(self, lecture: Lecture) -> list[str]:
        names: list[str] = lecture.students  # type: ignore[attr-defined]  # an annotation of the query
        return sorted(names)


class LessonSerializer(serializers.ModelSerializer[Session]):
    video_count = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = Session
        fields = ("id", "lecture_id", "title", "order", "starts_at", "video_count")
        read_only_fields = ("order", "starts_at")


class EnrolmentSerializer(serializers.ModelSerializer[Enrollment]):
    lecture_title = serializers.CharField(source="lecture.title", read_only=True)
    student_name = serializers.CharField(source="student.name", read_only=True)
    school = serializers.CharField(source="student.school", read_only=True)
    grade = serializers.CharField(source="student.grade", read_only=True)
    parent_phone = serializers.CharField(source="student.parent_phone", read_only=True)

    class Meta:
        model = Enrollment
        fields = (
            "id",
            "lecture",
            "lecture_title",
            "student",
            "student_name",
            "school",
            "grade",
            "parent_phone",
            "created_at",
        )


class EnrolmentForm(serializers.Serializer[Any]):
    lecture = serializers.IntegerField(min_value=1)
    student = serializers.IntegerField(min_value=1)


class EnrolmentsForm(serializers.Serializer[Any]):
    """The students to enrol in a lecture."""

    students = IdListField(max_length=MAX_ENROLLED_AT_ONCE)


class EnrolledAnswer(serializers.Serializer[Any]):
    """The answer to `EnrolmentsForm`."""

    enrolled = serializers.IntegerField(help_text="How many students were enrolled by this request.")
    already = serializers.IntegerField(help_text="How many were enrolled before.")
