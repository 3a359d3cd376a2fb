"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("video", "0013_replacements")]

    operations = [
        AddIndexUnlocked(
            model_name="video",
            index=models.Index(
                condition=models.Q(("replaces__isnull", False)), fields=["replaces"], name="idx_video_replaces"
            ),
        ),
    ]
