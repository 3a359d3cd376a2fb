"""Adds the time at which an account was last closed, or stopped being an operator's.

Admin sessions from before this time are no longer valid. A trigger writes the time, whatever program changes the
account. The column may be null, so adding it locks the table only for a moment.
"""

from django.db import migrations, models

CREATE = """
CREATE FUNCTION academy_note_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.last_closed_at := CASE
        WHEN (OLD.is_active AND NOT NEW.is_active) OR (OLD.is_superuser AND NOT NEW.is_superuser) THEN clock_timestamp()
        ELSE OLD.last_closed_at  -- what code that read the row earlier writes back
    END;
    RETURN NEW;
END $$;

CREATE TRIGGER academy_note_closing BEFORE UPDATE ON "user" FOR EACH ROW
    WHEN (
        (OLD.is_active AND NOT NEW.is_active)
        OR (OLD.is_superuser AND NOT NEW.is_superuser)
        OR NEW.last_closed_at IS DISTINCT FROM OLD.last_closed_at
    )
    EXECUTE FUNCTION academy_note_closing();
"""

DROP = "DROP FUNCTION academy_note_closing() CASCADE;"


class Migration(migrations.Migration):
    dependencies = [("core", "0007_renewed_hashes")]

    operations = [
        migrations.AddField("user", "last_closed_at", models.DateTimeField(null=True, editable=False)),
        migrations.RunSQL(CREATE, DROP),
    ]
