"""Adds an index for the marks of revocation, which every process reads once a second while Redis refuses writes."""

from django.db import migrations, models

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("realtime", "0001_initial")]

    operations = [
        AddIndexUnlocked(
            model_name="outboxentry",
            index=models.Index(
                condition=models.Q(("kind", "revocation")), fields=["sent_at"], name="idx_outbox_revocations"
            ),
        ),
    ]
