"""The representations of jobs and of the outcomes of imported rows in the API."""

from typing import Any

from rest_framework import serializers

from academy.jobs import retry_can_help
from apps.domains.ai.models import AIJob, ImportedRow


class JobSerializer(serializers.ModelSerializer[AIJob]):
    file_name = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()
    error_code = serializers.SerializerMethodField()
    error_message = serializers.SerializerMethodField()
    created_by = serializers.SerializerMethodField(help_text="The name of the user. Null if the account is deleted.")
    retry_can_help = serializers.SerializerMethodField()

    class Meta:
        model = AIJob
        fields = (
            "job_id",
            "job_type",
            "status",
            "attempt",
            "file_name",
            "result",
            "error_code",
            "error_message",
            "created_by",
            "created_at",
            "dispatched_at",
            "finished_at",
            "retry_can_help",
        )

    def get_file_name(self, job: AIJob) -> str | None:
        name: str | None = job.payload.get("file_name")
        return name

    def get_result(self, job: AIJob) -> dict[str, Any] | None:
        return job.result.result if hasattr(job, "result") else None

    def get_error_code(self, job: AIJob) -> str | None:
        return str(job.error["code"]) if job.error else None

    def get_error_message(self, job: AIJob) -> str | None:
        return str(job.error["message"]) if job.error else None

    def get_created_by(self, job: AIJob) -> str | None:
        return (job.created_by.name or job.created_by.username) if job.created_by else None

    def get_retry_can_help(self, job: AIJob) -> bool:
        return retry_can_help(job)


class ImportedRowSerializer(serializers.ModelSerializer[ImportedRow]):
    username = serializers.SerializerMethodField()

    class Meta:
        model = ImportedRow
        fields = ("line", "outcome", "code", "reason", "name", "student_id", "username")

    def get_username(self, row: ImportedRow) -> str | None:
        return str(row.student.user.username) if row.student else None
