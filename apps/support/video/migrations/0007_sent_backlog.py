"""Marks unfinished videos as sent, because their messages are in the queue already."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("video", "0006_unfinished_index")]

    operations = [
        migrations.RunSQL(
            "UPDATE video SET dispatched_at = now()"
            " WHERE status IN ('PENDING', 'PROCESSING') AND dispatched_at IS NULL AND uploaded_at IS NOT NULL",
            migrations.RunSQL.noop,
        ),
    ]
