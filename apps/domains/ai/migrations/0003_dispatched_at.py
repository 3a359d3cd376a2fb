from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ai", "0002_indexes")]

    operations = [
        migrations.AddField(
            model_name="aijob",
            name="dispatched_at",
            field=models.DateTimeField(help_text="When it had its turn, and a message was sent.", null=True),
        ),
    ]
