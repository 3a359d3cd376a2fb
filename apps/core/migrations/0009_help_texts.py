"""Describes columns more clearly. The tables do not change."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0008_last_closed_at'),
    ]

    operations = [
        migrations.AlterField(
            model_name='loginsession',
            name='address',
            field=models.GenericIPAddressField(help_text='The IP address that last used this sign-in.', null=True),
        ),
        migrations.AlterField(
            model_name='loginsession',
            name='last_used_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='When the tokens of this sign-in were last refreshed.'),
        ),
        migrations.AlterField(
            model_name='loginsession',
            name='previous_token_id',
            field=models.UUIDField(help_text='Still accepted for some seconds after a rotation.', null=True),
        ),
        migrations.AlterField(
            model_name='tenant',
            name='quota_encoding_minutes',
            field=models.PositiveIntegerField(blank=True, help_text='Most minutes of video encoded in a day. Empty: the default of the settings.', null=True),
        ),
        migrations.AlterField(
            model_name='tenant',
            name='quota_jobs',
            field=models.PositiveIntegerField(blank=True, help_text='Most unfinished jobs at a time. Empty: the default of the settings.', null=True),
        ),
        migrations.AlterField(
            model_name='tenant',
            name='quota_storage_bytes',
            field=models.PositiveBigIntegerField(blank=True, help_text='Most bytes of stored files. Empty: the default of the settings.', null=True),
        ),
    ]
