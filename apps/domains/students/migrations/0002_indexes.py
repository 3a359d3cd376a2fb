"""Builds the indexes that imports need, CONCURRENTLY, which does not lock their tables."""

import apps.core.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# Drops the INVALID index that an interrupted build leaves behind, and never a valid index.
DROP_INVALID = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
               WHERE relname = '{name}' AND NOT indisvalid AND relnamespace = current_schema()::regnamespace) THEN
        DROP INDEX {name};
    END IF;
END $$
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("students", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    DROP_INVALID.format(name="idx_student_tenant_name_phone"), reverse_sql=migrations.RunSQL.noop
                ),
                migrations.RunSQL(
                    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_student_tenant_name_phone "
                    "ON students (tenant_id, name, parent_phone) WHERE deleted_at IS NULL",
                    reverse_sql="DROP INDEX CONCURRENTLY IF EXISTS idx_student_tenant_name_phone",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="student",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=("tenant", "name", "parent_phone"),
                        name="idx_student_tenant_name_phone",
                    ),
                )
            ],
        ),
        migrations.RunSQL(
            DROP_INVALID.format(name="idx_student_tenant_name_phone_deleted"), reverse_sql=migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            model_name="student",
            index=apps.core.indexes.LongNameIndex(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["tenant", "name", "parent_phone"],
                name="idx_student_tenant_name_phone_deleted",
            ),
        ),
    ]
