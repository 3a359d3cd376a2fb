"""The outbox's tables: the messages that transactions have written, and the leases of relays."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now


class OutboxEntry(models.Model):
    """A message that is written in the caller's transaction. After the commit the caller's process or a relay sends it.

    A row of the `kind` "record" is published to a tenant's feed. Any other kind names a sender in
    `REALTIME_OUTBOX_SENDERS`. Rows are kept for 24 h after they were sent, so that an empty Redis can be filled again.

    All times are by the database's clock. A relay claims a row by setting `next_try_at`: before that time no other
    relay sends the row. A row that can never be sent is set aside: it has a `failed_at`, and `error` says why.
    """

    kind = models.CharField(max_length=20)
    tenant_id = models.BigIntegerField()
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(db_default=0)
    next_try_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(db_default="")

    class Meta:
        db_table = "realtime_outbox"
        indexes = [  # noqa: RUF012
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="idx_outbox_unsent"),
            models.Index(fields=["sent_at"], condition=Q(sent_at__isnull=False), name="idx_outbox_sent"),
            models.Index(fields=["sent_at"], condition=Q(kind="revocation"), name="idx_outbox_revocations"),
            models.Index(
                "kind",
                Coalesce("next_try_at", "created_at"),
                condition=Q(sent_at__isnull=True, failed_at__isnull=True),
                name="idx_outbox_due",
            ),
            models.Index(fields=["failed_at"], condition=Q(failed_at__isnull=False), name="idx_outbox_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class RelayLease(models.Model):
    """The lease on work that only one relay may do, such as repairing Redis. Its times are by the database's clock."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=40)
    held_until = models.DateTimeField()

    class Meta:
        db_table = "realtime_relay_lease"

    def __str__(self) -> str:
        return f"{self.name} of {self.holder}"
