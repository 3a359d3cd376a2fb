"""Bulk messages. A `MessageJob` has the text that a job sends, and each `Message` is what one person gets."""

from django.db import models

MESSAGE_STATUSES = [(name, name) for name in ("PENDING", "CLAIMED", "SENT", "FAILED")]


class MessageJob(models.Model):
    """The text of a bulk message. Its status, attempt and error are in `job`.

    `idempotency_key` is chosen by the client: a request that is sent twice creates one bulk message. If this bulk
    message is a retry, it sends the failed messages of the bulk message `retry_of`. Each bulk message can be retried
    only once, so nobody gets the same message twice.
    """

    job = models.OneToOneField("ai.AIJob", models.CASCADE, related_name="message_job")
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    text = models.TextField(max_length=2000)
    idempotency_key = models.UUIDField(null=True)
    retry_of = models.OneToOneField("self", models.SET_NULL, null=True, related_name="retry")

    class Meta:
        db_table = "message_job"
        constraints = [  # noqa: RUF012
            models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="uq_message_job_key")
        ]

    def __str__(self) -> str:
        return f"message job {self.pk}"


class Message(models.Model):
    """A message about one student. A worker claims it before sending it, so that no later attempt sends it again.

    `recipient` is a phone number, which several messages may have: a parent of two students gets a message about each.
    """

    job = models.ForeignKey(MessageJob, models.CASCADE, related_name="messages", db_index=False)
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    student = models.ForeignKey("students.Student", models.SET_NULL, null=True, related_name="+")
    recipient = models.CharField(max_length=100)
    text = models.TextField(max_length=2000)
    status = models.CharField(max_length=10, choices=MESSAGE_STATUSES, default="PENDING")
    code = models.CharField(max_length=20, blank=True)
    error = models.CharField(max_length=300, blank=True)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "message"
        constraints = [models.UniqueConstraint(fields=["job", "student"], name="uq_message_job_student")]  # noqa: RUF012
        indexes = [models.Index(fields=["job", "status", "id"], name="idx_message_job_status")]  # noqa: RUF012

    def __str__(self) -> str:
        return f"{self.recipient}: {self.status}"
