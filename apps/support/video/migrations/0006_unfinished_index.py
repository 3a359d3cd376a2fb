"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("video", "0005_quotas")]

    operations = [
        AddIndexUnlocked(
            model_name="video",
            index=models.Index(condition=models.Q(("status__in", ("PENDING", "PROCESSING"))), fields=["tenant", "id"], name="idx_video_unfinished"),
        ),
    ]
