"""Adds columns that are empty. The foreign keys have no constraint, so that the table is not locked for a check."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("video", "0012_help_texts")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="replaces",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The video whose place this one takes when it is READY, or has taken. Its row may be gone.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="video.video",
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="replaced_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The video that has taken the place of this one, which was deleted then.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="video.video",
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="listed_at",
            field=models.DateTimeField(
                help_text="Its place in lists, if it has taken that of an older video. Otherwise `created_at` is it.",
                null=True,
            ),
        ),
    ]
