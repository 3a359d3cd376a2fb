"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ai", "0004_stored_bytes")]

    operations = [
        AddIndexUnlocked(
            model_name="aijob",
            index=models.Index(condition=models.Q(("status__in", ("PENDING", "PROCESSING"))), fields=["tenant", "id"], name="idx_aijob_unfinished"),
        ),
    ]
