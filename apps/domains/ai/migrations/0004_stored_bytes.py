from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ai", "0003_dispatched_at")]

    operations = [
        migrations.AddField(
            model_name="aijob",
            name="stored_bytes",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="Of the workbook that is kept for it."
            ),
        ),
        AddIndexConcurrently(
            model_name="aijob",
            index=models.Index(
                condition=models.Q(("stored_bytes__gt", 0)), fields=["tenant"], name="idx_aijob_stored"
            ),
        ),
    ]
