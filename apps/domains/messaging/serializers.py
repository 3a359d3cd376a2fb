"""The representations of bulk messages in the API, and the form of a new one."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from academy.adapters.db.django.repositories_messages import MessageTotals
from academy.domain.messages import MAX_RECIPIENTS, MAX_TEXT_LETTERS, CostClass, To
from academy.jobs import retry_can_help
from academy.message_previews import Preview, Sample, SharedNumber
from apps.core.id_lists import MAX_ID, IdListField
from apps.domains.messaging.models import Message, MessageJob


class MessageForm(serializers.Serializer[Any]):
    """A text, and the students that it is about: either all students of a lecture, or the students with given ids."""

    text = serializers.CharField(
        max_length=MAX_TEXT_LETTERS, help_text="Each `{name}` in it becomes the student's name."
    )
    to = serializers.ChoiceField(choices=[to.value for to in To], default=To.PARENT.value)
    lecture = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    students = IdListField(required=False, max_length=MAX_RECIPIENTS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lecture" in attrs) == ("students" in attrs):
            raise serializers.ValidationError("Say who is written to: either a lecture, or students by their ids.")
        return attrs


class SentMessageForm(MessageForm):
    """The form of a bulk message that is sent. A request that is repeated with the same key creates nothing more."""

    idempotency_key = serializers.UUIDField(
        required=False, help_text="A new UUID for each bulk message. A repeated request gets the same `job_id`."
    )


class SampleSerializer(serializers.Serializer[Sample]):
    name = serializers.CharField()
    recipient = serializers.CharField()
    text = serializers.CharField()
    letters = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="In EUC-KR, as Korean carriers count.")
    cost_class = serializers.ChoiceField(choices=[cost_class.value for cost_class in CostClass])


class SharedNumberSerializer(serializers.Serializer[SharedNumber]):
    recipient = serializers.CharField()
    messages = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField())


class ClassCountsSerializer(serializers.Serializer[dict[str, int]]):
    sms = serializers.IntegerField()
    lms = serializers.IntegerField()
    too_long = serializers.IntegerField()


class PricesSerializer(serializers.Serializer[dict[str, float]]):
    sms = serializers.FloatField(allow_null=True)
    lms = serializers.FloatField(allow_null=True)


class PreviewSerializer(serializers.Serializer[Preview]):
    """A preview of a bulk message. Nothing was sent."""

    recipients = serializers.IntegerField()
    messages = serializers.IntegerField(help_text="To how many of the recipients a message would be sent.")
    numbers = serializers.IntegerField(help_text="How many different numbers would get a message.")
    without_number = serializers.IntegerField()
    without_number_names = serializers.ListField(child=serializers.CharField())
    shared_numbers = serializers.IntegerField()
    shared = SharedNumberSerializer(many=True)
    samples = SampleSerializer(many=True)
    longest = SampleSerializer()
    unsendable = serializers.CharField(help_text="Letters that text messages cannot carry.")
    classes = ClassCountsSerializer()
    prices = PricesSerializer(help_text="In won, null if not configured.")
    cost = serializers.FloatField(allow_null=True, help_text="In won, null if a price is missing.")


class MessageTotalsSerializer(serializers.Serializer[MessageTotals]):
    sent = serializers.IntegerField()
    failed = serializers.IntegerField()
    total = serializers.IntegerField()


class MessageJobSerializer(serializers.ModelSerializer[MessageJob]):
    """A bulk message with its job.

    The context must have two dicts: `totals` (of `MessageTotals`, keyed by `job_id`) and `lecture_titles` (keyed by
    lecture id).
    """

    job_id = serializers.UUIDField(source="job.job_id")
    status = serializers.CharField(source="job.status")
    attempt = serializers.IntegerField(source="job.attempt")
    to = serializers.CharField(source="job.payload.to")
    lecture = serializers.IntegerField(source="job.payload.lecture_id", allow_null=True)
    lecture_title = serializers.SerializerMethodField()
    totals = serializers.SerializerMethodField()
    created_by = serializers.SerializerMethodField(help_text="The name of the user. Null if the account is deleted.")
    retry_of = serializers.UUIDField(source="retry_of.job.job_id", default=None)
    retried_by = serializers.UUIDField(source="retry.job.job_id", default=None)
    error_code = serializers.CharField(source="job.error.code", default=None)
    error_message = serializers.CharField(source="job.error.message", default=None)
    created_at = serializers.DateTimeField(source="job.created_at")
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)
    retry_can_help = serializers.SerializerMethodField()

    class Meta:
        model = MessageJob
        fields = (
            "job_id",
            "status",
            "attempt",
            "text",
            "to",
            "lecture",
            "lecture_title",
            "totals",
            "created_by",
            "retry_of",
            "retried_by",
            "error_code",
            "error_message",
            "created_at",
            "finished_at",
            "retry_can_help",
        )

    def get_lecture_title(self, message_job: MessageJob) -> str | None:
        titles: dict[int, str] = self.context["lecture_titles"]
        return titles.get(message_job.job.payload["lecture_id"])

    def get_created_by(self, message_job: MessageJob) -> str | None:
        user = message_job.job.created_by
        return (user.name or user.username) if user else None

    def get_retry_can_help(self, message_job: MessageJob) -> bool:
        return retry_can_help(message_job.job)

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

    retryable = serializers.IntegerField(help_text="How many messages `retry-failed` would send.")
    without_number = serializers.IntegerField(
        help_text="How many messages failed because there was no phone number, and could be sent again if there were."
    )
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = MessageSerializer(many=True)

    class Meta(MessageJobSerializer.Meta):
        fields = (
            *MessageJobSerializer.Meta.fields,
            "retryable",
            "without_number",
            "count",
            "next",
            "previous",
            "results",
        )  # type: ignore[assignment]
