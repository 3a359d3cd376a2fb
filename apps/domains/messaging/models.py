"""Bulk messages: one job, and one row for each recipient."""

import uuid

from django.db import models

JOB_STATUSES = [(name, name) for name in ("PENDING", "PROCESSING", "DONE", "FAILED", "CANCELLED")]
MESSAGE_STATUSES = [(name, name) for name in ("PENDING", "CLAIMED", "SENT", "FAILED")]


class MessageJob(models.Model):
    job_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=JOB_STATUSES, default="PENDING")
    attempt = models.PositiveIntegerField(default=1)
    text = models.TextField(max_length=2000)
    error = models.JSONField(null=True)
    created_by = models.ForeignKey("core.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "message_job"

    def __str__(self) -> str:
        return str(self.job_id)


class Message(models.Model):
    """One recipient's message, claimed before it is sent, so that a redelivered job sends nothing twice."""

    job = models.ForeignKey(MessageJob, models.CASCADE, related_name="messages")
    student = models.ForeignKey("students.Student", models.SET_NULL, null=True, related_name="+")
    recipient = models.CharField(max_length=100)
    text = models.TextField(max_length=2000)
    status = models.CharField(max_length=10, choices=MESSAGE_STATUSES, default="PENDING")
    error = models.CharField(max_length=300, blank=True)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "message"
        constraints = [models.UniqueConstraint(fields=["job", "recipient"], name="uq_message_job_recipient")]  # noqa: RUF012

    def __str__(self) -> str:
        return f"{self.recipient}: {self.status}"
