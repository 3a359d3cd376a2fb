"""The outbox: what a committed transaction still has to say, to Redis or to a queue."""

from django.db import models
from django.db.models import Q


class OutboxEntry(models.Model):
    """Written in the caller's transaction, sent after its commit, by the process itself or else by the relay.

    `kind` "record" puts a record into a tenant's feed; any other kind names a sender of
    `REALTIME_OUTBOX_SENDERS`. Rows are kept for 24 h after they were sent, so that an empty Redis can be filled again.
    """

    kind = models.CharField(max_length=20)
    tenant_id = models.BigIntegerField()
    payload = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "realtime_outbox"
        indexes = [  # noqa: RUF012
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="idx_outbox_unsent"),
            models.Index(fields=["sent_at"], condition=Q(sent_at__isnull=False), name="idx_outbox_sent"),
            models.Index(fields=["sent_at"], condition=Q(kind="revocation"), name="idx_outbox_revocations"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
