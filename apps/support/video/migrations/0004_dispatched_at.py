from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("video", "0003_upload")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="dispatched_at",
            field=models.DateTimeField(help_text="When it had its turn, and a message was sent.", null=True),
        ),
    ]
