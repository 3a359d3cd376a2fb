"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("video", "0010_deleted")]

    operations = [
        AddIndexUnlocked(
            model_name="video",
            index=models.Index(
                condition=models.Q(("files_due_at__isnull", False)), fields=["files_due_at"], name="idx_video_files_due"
            ),
        ),
    ]
