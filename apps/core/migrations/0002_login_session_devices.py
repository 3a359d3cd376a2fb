"""Adds the columns that a list of sessions shows. The columns have defaults in the database, so no row is rewritten.

`0005_session_times` sets the two times of older sessions.
"""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.AddField("loginsession", "created_at", models.DateTimeField(db_default=Now())),
        migrations.AddField(
            "loginsession",
            "last_used_at",
            models.DateTimeField(db_default=Now(), help_text="When its tokens were last refreshed."),
        ),
        migrations.AddField(
            "loginsession",
            "address",
            models.GenericIPAddressField(null=True, help_text="From where it was last used."),
        ),
        migrations.AddField(
            "loginsession",
            "user_agent",
            models.CharField(max_length=200, db_default="", help_text="The browser or program, shortened."),
        ),
    ]
