"""Makes a new password also end the one-time codes that the account has issued for others.

A password is changed, among other reasons, because somebody else knows it. That person may have issued codes, which would
open other accounts for a day.
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
        DELETE FROM one_time_code WHERE user_id = NEW.id OR issued_by_id = NEW.id;
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
    IF NOT NEW.is_active OR (
        NEW.password IS DISTINCT FROM OLD.password
        AND current_setting('academy.same_password', true) IS DISTINCT FROM NEW.id::text
    ) THEN
        UPDATE login_session SET ended_at = clock_timestamp() WHERE user_id = NEW.id AND ended_at IS NULL;
        DELETE FROM one_time_code WHERE user_id = NEW.id OR (issued_by_id = NEW.id AND NOT NEW.is_active);
    ELSIF (NEW.must_change_password AND NOT OLD.must_change_password)
        OR NEW.tenant_id IS DISTINCT FROM OLD.tenant_id THEN
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.id, 'account_changed');
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0010_one_time_codes")]

    operations = [migrations.RunSQL(CREATE, AS_BEFORE)]
