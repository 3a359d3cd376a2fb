"""Describes columns more clearly. The tables do not change."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('video', '0011_files_due_index'),
    ]

    operations = [
        migrations.AlterField(
            model_name='video',
            name='deleted_at',
            field=models.DateTimeField(help_text='Nobody is shown a deleted video. Its row stays for some days, because its minutes count.', null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='dispatched_at',
            field=models.DateTimeField(help_text="When the video's message was sent to the queue.", null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='duration',
            field=models.FloatField(help_text='In seconds.', null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='encoding_counted',
            field=models.BooleanField(db_default=False, default=False, help_text='Whether the quota has counted the present request for an encoding.'),
        ),
        migrations.AlterField(
            model_name='video',
            name='encoding_day',
            field=models.DateField(help_text='The day on which the last encoding began.', null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='encoding_reserved',
            field=models.FloatField(db_default=0, default=0, help_text='Those of these seconds that are an estimate, until the length is known.'),
        ),
        migrations.AlterField(
            model_name='video',
            name='encoding_seconds',
            field=models.FloatField(help_text="The seconds of video that count for that day's quota.", null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='files_due_at',
            field=models.DateTimeField(help_text='When a worker may delete files that the video no longer needs.', null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='made_bytes',
            field=models.BigIntegerField(db_default=0, default=0, help_text='The size of all encoded files, in bytes.'),
        ),
        migrations.AlterField(
            model_name='video',
            name='size',
            field=models.BigIntegerField(help_text='The size of the uploaded file, in bytes.', null=True),
        ),
        migrations.AlterField(
            model_name='video',
            name='source',
            field=models.CharField(blank=True, help_text='The name of the uploaded file in the storage.', max_length=500),
        ),
        migrations.AlterField(
            model_name='video',
            name='uploaded_at',
            field=models.DateTimeField(help_text='When the upload was complete. No worker takes the video before.', null=True),
        ),
    ]
