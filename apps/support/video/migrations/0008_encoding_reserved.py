from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("video", "0007_sent_backlog")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="encoding_reserved",
            field=models.FloatField(
                db_default=0, default=0, help_text="Of these, for a length that is known at the end only."
            ),
        ),
    ]
