"""Marks unfinished jobs as sent, because their messages are in the queue already."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ai", "0006_stored_index")]

    operations = [
        migrations.RunSQL(
            "UPDATE aijob SET dispatched_at = now()"
            " WHERE status IN ('PENDING', 'PROCESSING') AND dispatched_at IS NULL",
            migrations.RunSQL.noop,
        ),
    ]
