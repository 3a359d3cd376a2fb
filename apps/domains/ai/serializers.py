"""The representations of jobs and of the outcomes of imported rows in the API."""

from typing import Any

from rest_framework import serializers

from apps.domains.ai.models import AIJob, ImportedRow


class JobSerializer(serializers.ModelSerializer[AIJob]):
    file_name = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()
    error_code = serializers.SerializerMethodField()
    error_message = serializers.SerializerMethodField()

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
            "created_at",
            "finished_at",
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


class ImportedRowSerializer(serializers.ModelSerializer[ImportedRow]):
    username = serializers.SerializerMethodField()

    class Meta:
        model = ImportedRow
        fields = ("line", "outcome", "code", "reason", "name", "student_id", "username")

    def get_username(self, row: ImportedRow) -> str | None:
        return str(row.student.user.username) if row.student else None
