from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("video", "0009_announced_index")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="deleted_at",
            field=models.DateTimeField(
                help_text="Since then it is shown to nobody. The row stays for some days: its minutes count.", null=True
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="files_due_at",
            field=models.DateTimeField(
                help_text="When a worker is to delete files that it does not need.", null=True
            ),
        ),
    ]
