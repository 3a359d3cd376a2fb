"""Makes each bulk message a job of `aijob`, with its text in `message_job`. No code has used the tables yet."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ai', '0002_indexes'),
        ('core', '0001_initial'),
        ('messaging', '0001_initial'),
        ('students', '0002_indexes'),
    ]

    operations = [
        migrations.RemoveField(model_name='messagejob', name='attempt'),
        migrations.RemoveField(model_name='messagejob', name='created_at'),
        migrations.RemoveField(model_name='messagejob', name='created_by'),
        migrations.RemoveField(model_name='messagejob', name='error'),
        migrations.RemoveField(model_name='messagejob', name='finished_at'),
        migrations.RemoveField(model_name='messagejob', name='job_id'),
        migrations.RemoveField(model_name='messagejob', name='status'),
        migrations.AddField(
            model_name='messagejob',
            name='job',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='message_job', to='ai.aijob'),
            preserve_default=False,
        ),
        migrations.RemoveConstraint(model_name='message', name='uq_message_job_recipient'),
        migrations.AddField(
            model_name='message',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.tenant'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='message',
            name='code',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AlterField(
            model_name='message',
            name='job',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='messaging.messagejob'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('job', 'student'), name='uq_message_job_student'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['job', 'status', 'id'], name='idx_message_job_status'),
        ),
    ]
