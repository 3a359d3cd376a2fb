"""Builds the indexes CONCURRENTLY, which does not lock their tables."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ai", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="aijob",
            index=models.Index(fields=["tenant", "status"], name="idx_aijob_tenant_status"),
        ),
        AddIndexConcurrently(
            model_name="aijob",
            index=models.Index(fields=["tenant", "job_id"], name="idx_aijob_tenant_job_id"),
        ),
    ]
