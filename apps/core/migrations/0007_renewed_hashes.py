"""Changes a trigger, so that a new hash of the same password does not end sessions. Signing in renews outdated hashes.

Before such a change, code names the account in the setting `academy.same_password` of its transaction
(`academy.adapters.db.django.session_triggers`). All other changes end sessions as before.
"""

from django.db import migrations

CREATE = """
CREATE OR REPLACE FUNCTION academy_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT NEW.is_active OR (
        NEW.password IS DISTINCT FROM OLD.password
        AND current_setting('academy.same_password', true) IS DISTINCT FROM NEW.id::text
    ) THEN
        UPDATE login_session SET ended_at = clock_timestamp() WHERE user_id = NEW.id AND ended_at IS NULL;
    ELSIF (NEW.must_change_password AND NOT OLD.must_change_password)
        OR NEW.tenant_id IS DISTINCT FROM OLD.tenant_id THEN
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.id, 'account_changed');
    END IF;
    RETURN NULL;
END $$;
"""

AS_BEFORE = """
CREATE OR REPLACE FUNCTION academy_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.password IS DISTINCT FROM OLD.password OR NOT NEW.is_active THEN
        UPDATE login_session SET ended_at = clock_timestamp() WHERE user_id = NEW.id AND ended_at IS NULL;
    ELSE
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.id, 'account_changed');
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0006_expired_sessions_index")]

    operations = [migrations.RunSQL(CREATE, AS_BEFORE)]
