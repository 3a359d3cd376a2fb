"""The representations of bulk messages in the API, and the form of a new one."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from academy.adapters.db.django.repositories_messages import MessageTotals
from academy.domain.messages import MAX_RECIPIENTS, MAX_TEXT_LETTERS, To
from apps.domains.messaging.models import Message, MessageJob

MAX_ID = 2**63 - 1


class MessageForm(serializers.Serializer[Any]):
    """A text, and the students that it is about: either all students of a lecture, or the students with given ids."""

    text = serializers.CharField(
        max_length=MAX_TEXT_LETTERS, help_text="Each `{name}` in it becomes the student's name."
    )
    to = serializers.ChoiceField(choices=[to.value for to in To], default=To.PARENT.value)
    lecture = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    students = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID),
        required=False,
        allow_empty=False,
        max_length=MAX_RECIPIENTS,
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lecture" in attrs) == ("students" in attrs):
            raise serializers.ValidationError("Say who is written to: either a lecture, or students by their ids.")
        return attrs


class MessageTotalsSerializer(serializers.Serializer[MessageTotals]):
    sent = serializers.IntegerField()
    failed = serializers.IntegerField()
    total = serializers.IntegerField()


class MessageJobSerializer(serializers.ModelSerializer[MessageJob]):
    """A bulk message with its job. The context must have `totals`, a dict of `MessageTotals` by job id."""

    job_id = serializers.UUIDField(source="job.job_id")
    status = serializers.CharField(source="job.status")
    to = serializers.CharField(source="job.payload.to")
    lecture = serializers.IntegerField(source="job.payload.lecture_id", allow_null=True)
    totals = serializers.SerializerMethodField()
    error_code = serializers.CharField(source="job.error.code", default=None)
    error_message = serializers.CharField(source="job.error.message", default=None)
    created_at = serializers.DateTimeField(source="job.created_at")
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)

    class Meta:
        model = MessageJob
        fields = (
            "job_id",
            "status",
            "text",
            "to",
            "lecture",
            "totals",
            "error_code",
            "error_message",
            "created_at",
            "finished_at",
        )

    @extend_schema_field(MessageTotalsSerializer)
    def get_totals(self, message_job: MessageJob) -> dict[str, int]:
        totals: MessageTotals = self.context["totals"][message_job.job.job_id]
        return totals.as_result()


class MessageSerializer(serializers.ModelSerializer[Message]):
    name = serializers.CharField(source="student.name", default=None)

    class Meta:
        model = Message
        fields = ("id", "student_id", "name", "recipient", "text", "status", "code", "error", "sent_at")


class MessageJobDetailSerializer(MessageJobSerializer):
    """A bulk message and a page of its messages. Only the OpenAPI document uses this class, not the view."""

    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = MessageSerializer(many=True)

    class Meta(MessageJobSerializer.Meta):
        fields = (*MessageJobSerializer.Meta.fields, "count", "next", "previous", "results")  # type: ignore[assignment]
