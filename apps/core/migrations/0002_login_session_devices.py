"""What a list of sessions shows. The columns have defaults in the database, so no row is rewritten."""

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Now


def take_last_rotation(apps, schema_editor):
    """A session from before these columns began, as far as anybody knows, with its last rotation."""
    sessions = apps.get_model("core", "LoginSession").objects
    sessions.filter(Q(ended_at=None) & Q(expires_at__gt=Now())).update(
        created_at=F("rotated_at"), last_used_at=F("rotated_at")
    )


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
        migrations.RunPython(take_last_rotation, migrations.RunPython.noop),
    ]
