"""Builds the indexes CONCURRENTLY, which does not lock their tables."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("video", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="video",
            index=models.Index(fields=["tenant", "status"], name="idx_video_tenant_status"),
        ),
        AddIndexConcurrently(
            model_name="video",
            index=models.Index(fields=["session", "status"], name="idx_video_session_status"),
        ),
    ]
