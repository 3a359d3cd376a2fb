"""Adds an index for the relays, which look twice a second for rows of each kind that are due."""

from django.db import migrations, models
from django.db.models.functions import Coalesce

from realtime.indexes import AddIndexUnlocked


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("realtime", "0003_claims")]

    operations = [
        AddIndexUnlocked(
            model_name="outboxentry",
            index=models.Index(
                "kind",
                Coalesce("next_try_at", "created_at"),
                condition=models.Q(("failed_at__isnull", True), ("sent_at__isnull", True)),
                name="idx_outbox_due",
            ),
        ),
    ]
