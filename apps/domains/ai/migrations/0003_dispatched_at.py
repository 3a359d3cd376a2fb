"""When a job had its turn. What is unfinished now has its message in the queue already."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ai", "0002_indexes")]

    operations = [
        migrations.AddField(
            model_name="aijob",
            name="dispatched_at",
            field=models.DateTimeField(help_text="When it had its turn, and a message was sent.", null=True),
        ),
        AddIndexConcurrently(
            model_name="aijob",
            index=models.Index(
                condition=models.Q(("status__in", ("PENDING", "PROCESSING"))),
                fields=["tenant", "id"],
                name="idx_aijob_unfinished",
            ),
        ),
        migrations.RunSQL(
            "UPDATE aijob SET dispatched_at = now()"
            " WHERE status IN ('PENDING', 'PROCESSING') AND dispatched_at IS NULL",
            migrations.RunSQL.noop,
        ),
    ]
