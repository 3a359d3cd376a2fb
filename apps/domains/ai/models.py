"""Jobs, the results of jobs, and the outcomes of imported rows."""

import uuid

from django.db import models

UNFINISHED = ("PENDING", "PROCESSING")
JOB_STATUSES = [(name, name) for name in ("PENDING", "PROCESSING", "DONE", "FAILED", "CANCELLED")]
OUTCOMES = [(name, name) for name in ("created", "restored", "existing", "failed")]


class AIJob(models.Model):
    """A long job. A worker can save and publish the job only while it runs the current `attempt`."""

    job_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    job_type = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=JOB_STATUSES, default="PENDING")
    attempt = models.PositiveIntegerField(default=1)
    payload = models.JSONField(default=dict)
    error = models.JSONField(null=True)
    created_by = models.ForeignKey("core.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True)
    stored_bytes = models.BigIntegerField(
        default=0, db_default=0, help_text="The size of the job's workbook in the storage, in bytes."
    )
    dispatched_at = models.DateTimeField(null=True, help_text="When the job's message was sent to the queue.")

    class Meta:
        db_table = "aijob"
        indexes = [  # noqa: RUF012
            models.Index(fields=["tenant", "status"], name="idx_aijob_tenant_status"),
            models.Index(fields=["tenant", "job_id"], name="idx_aijob_tenant_job_id"),
            models.Index(
                fields=["tenant", "id"], condition=models.Q(status__in=UNFINISHED), name="idx_aijob_unfinished"
            ),
            models.Index(fields=["tenant"], condition=models.Q(stored_bytes__gt=0), name="idx_aijob_stored"),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.job_id}"


class AIJobResult(models.Model):
    job = models.OneToOneField(AIJob, models.CASCADE, related_name="result")
    result = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "aijob_result"

    def __str__(self) -> str:
        return str(self.job_id)


class ImportedRow(models.Model):
    """The outcome of one line of a workbook.

    If the line creates or restores a student, one transaction saves the student and the outcome.
    """

    job = models.ForeignKey(AIJob, models.CASCADE, related_name="rows", db_index=False)
    line = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=OUTCOMES)
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    name = models.CharField(max_length=100, blank=True)
    student = models.ForeignKey("students.Student", models.SET_NULL, null=True, related_name="+")

    class Meta:
        db_table = "aijob_row"
        constraints = [models.UniqueConstraint(fields=["job", "line"], name="uq_aijob_row_job_line")]  # noqa: RUF012

    def __str__(self) -> str:
        return f"{self.line}: {self.outcome}"
