"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ai", "0005_unfinished_index")]

    operations = [
        AddIndexUnlocked(
            model_name="aijob",
            index=models.Index(condition=models.Q(("stored_bytes__gt", 0)), fields=["tenant"], name="idx_aijob_stored"),
        ),
    ]
