"""Sets the times of sessions that are older than migration 0002 to the time of their last rotation.

Nobody knows when these sessions began. The migration works in batches, each in its own transaction, so that signing in
and refreshing tokens continue meanwhile. It may be stopped and run again.
"""

from django.db import migrations
from django.db.models import F
from django.db.models.functions import Now

BATCH = 1000


def take_last_rotation(apps, schema_editor):  # noqa: ARG001 - Django's signature
    sessions = apps.get_model("core", "LoginSession").objects
    open_ones = sessions.filter(ended_at=None, expires_at__gt=Now()).order_by("pk")
    batch = list(open_ones.values_list("pk", flat=True)[:BATCH])
    while batch:
        # A session that was rotated after the columns were added has its times already.
        older = sessions.filter(pk__in=batch, rotated_at__lt=F("created_at"))
        older.update(created_at=F("rotated_at"), last_used_at=F("rotated_at"))
        batch = list(open_ones.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:BATCH])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("core", "0004_tenant_quotas")]

    operations = [migrations.RunPython(take_last_rotation, migrations.RunPython.noop)]
