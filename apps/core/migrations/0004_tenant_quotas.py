from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0003_revocation_triggers")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="quota_jobs",
            field=models.PositiveIntegerField(
                blank=True, help_text="Unfinished jobs at a time. Empty: as the settings say.", null=True
            ),
        ),
        migrations.AddField(
            model_name="tenant",
            name="quota_encoding_minutes",
            field=models.PositiveIntegerField(
                blank=True, help_text="Minutes of video encoded in a day. Empty: as the settings say.", null=True
            ),
        ),
        migrations.AddField(
            model_name="tenant",
            name="quota_storage_bytes",
            field=models.PositiveBigIntegerField(
                blank=True, help_text="Bytes of stored files. Empty: as the settings say.", null=True
            ),
        ),
    ]
