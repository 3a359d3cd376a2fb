"""Adds what keeps a bulk message, and the retry of its failed messages, from being sent twice.

The columns are nullable, so no row is rewritten. The table has one row for each bulk message, so its new indexes are
built quickly.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("messaging", "0002_job_of_aijob")]

    operations = [
        migrations.AddField("messagejob", "idempotency_key", models.UUIDField(null=True)),
        migrations.AddField(
            "messagejob",
            "retry_of",
            models.OneToOneField(
                "messaging.messagejob",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="retry",
            ),
        ),
        migrations.AddConstraint(
            "messagejob",
            models.UniqueConstraint(fields=("tenant", "idempotency_key"), name="uq_message_job_key"),
        ),
    ]
