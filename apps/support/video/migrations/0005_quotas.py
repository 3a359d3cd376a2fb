from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("video", "0004_dispatched_at")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="made_bytes",
            field=models.BigIntegerField(db_default=0, default=0, help_text="Of what was made of it."),
        ),
        migrations.AddField(
            model_name="video",
            name="encoding_day",
            field=models.DateField(help_text="On which its last encoding began.", null=True),
        ),
        migrations.AddField(
            model_name="video",
            name="encoding_seconds",
            field=models.FloatField(help_text="Of it that were to be encoded on that day.", null=True),
        ),
        migrations.AddField(
            model_name="video",
            name="encoding_counted",
            field=models.BooleanField(db_default=False, default=False, help_text="Since it was last asked for."),
        ),
    ]
