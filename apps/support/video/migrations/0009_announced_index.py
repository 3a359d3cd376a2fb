"""Builds an index without locking the table. It is safe to run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("video", "0008_encoding_reserved")]

    operations = [
        AddIndexUnlocked(
            model_name="video",
            index=models.Index(condition=models.Q(("uploaded_at", None)), fields=["created_at"], name="idx_video_announced"),
        ),
    ]
