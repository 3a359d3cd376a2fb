"""Adds an index for the rows that were set aside, which `doctor`, the metrics and operators look for."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("realtime", "0004_due_index")]

    operations = [
        AddIndexUnlocked(
            model_name="outboxentry",
            index=models.Index(
                condition=models.Q(("failed_at__isnull", False)), fields=["failed_at"], name="idx_outbox_failed"
            ),
        ),
    ]
