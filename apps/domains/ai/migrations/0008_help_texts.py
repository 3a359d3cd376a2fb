"""Describes columns more clearly. The tables do not change."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ai', '0007_sent_backlog'),
    ]

    operations = [
        migrations.AlterField(
            model_name='aijob',
            name='dispatched_at',
            field=models.DateTimeField(help_text="When the job's message was sent to the queue.", null=True),
        ),
        migrations.AlterField(
            model_name='aijob',
            name='stored_bytes',
            field=models.BigIntegerField(db_default=0, default=0, help_text="The size of the job's workbook in the storage, in bytes."),
        ),
    ]
