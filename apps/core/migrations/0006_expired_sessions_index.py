"""Builds an index without locking the table. This migration may be run again after an interruption."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("core", "0005_session_times")]

    operations = [
        AddIndexUnlocked(
            model_name="loginsession",
            index=models.Index(fields=["expires_at"], name="idx_login_session_expires"),
        ),
    ]
