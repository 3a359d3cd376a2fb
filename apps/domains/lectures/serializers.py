"""The representations of lectures and enrolments in the API."""

from typing import Any

from rest_framework import serializers

from apps.domains.lectures.models import Enrollment, Lecture


class LectureSerializer(serializers.ModelSerializer[Lecture]):
    student_count = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = Lecture
        fields = ("id", "title", "description", "active", "student_count", "created_at")


class EnrolmentSerializer(serializers.ModelSerializer[Enrollment]):
    lecture_title = serializers.CharField(source="lecture.title", read_only=True)
    student_name = serializers.CharField(source="student.name", read_only=True)

    class Meta:
        model = Enrollment
        fields = ("id", "lecture", "lecture_title", "student", "student_name", "created_at")


class EnrolmentForm(serializers.Serializer[Any]):
    lecture = serializers.IntegerField(min_value=1)
    student = serializers.IntegerField(min_value=1)
