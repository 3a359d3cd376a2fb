from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ai", "0003_dispatched_at")]

    operations = [
        migrations.AddField(
            model_name="aijob",
            name="stored_bytes",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="Of the workbook that is kept for it."
            ),
        ),
    ]
