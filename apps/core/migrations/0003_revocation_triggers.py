"""Adds triggers that end sessions and revoke tokens when an account changes, whether by code, in the admin or by SQL.

The triggers write rows of the kind "revocation" into the outbox, in the transaction of the change. Inserting accounts
fires no trigger, so imports are not slowed.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION academy_revoke(tenant bigint, subject text, cause text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF tenant IS NOT NULL THEN  -- superusers belong to no tenant, and have no tokens
        INSERT INTO realtime_outbox (kind, tenant_id, payload, created_at)
        VALUES (
            'revocation',
            tenant,
            jsonb_build_object(
                'tenant', tenant, 'subject', subject, 'cause', cause, 'by', session_user,
                'process', current_setting('application_name')
            ),
            clock_timestamp()
        );
    END IF;
END $$;

CREATE FUNCTION academy_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Set by code that revokes a whole tenant at once, and needs no row for each of its sessions.
    IF current_setting('academy.tenant_revoked', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM academy_revoke(tenant_id, 'session:' || OLD.id, 'session_ended') FROM "user" WHERE id = OLD.user_id;
    RETURN NULL;
END $$;

CREATE FUNCTION academy_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.password IS DISTINCT FROM OLD.password OR NOT NEW.is_active THEN
        UPDATE login_session SET ended_at = clock_timestamp() WHERE user_id = NEW.id AND ended_at IS NULL;
    ELSE
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.id, 'account_changed');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION academy_membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.user_id, 'role_changed');
    RETURN NULL;
END $$;

CREATE FUNCTION academy_tenant_suspended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM academy_revoke(OLD.id, 'tenant', 'tenant_suspended');
    RETURN NULL;
END $$;

CREATE TRIGGER academy_session_ended AFTER UPDATE ON login_session FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION academy_session_ended();
CREATE TRIGGER academy_session_deleted AFTER DELETE ON login_session FOR EACH ROW
    WHEN (OLD.ended_at IS NULL)
    EXECUTE FUNCTION academy_session_ended();
CREATE TRIGGER academy_user_changed AFTER UPDATE ON "user" FOR EACH ROW
    WHEN (
        NEW.password IS DISTINCT FROM OLD.password
        OR (OLD.is_active AND NOT NEW.is_active)
        OR (NEW.must_change_password AND NOT OLD.must_change_password)
        OR NEW.tenant_id IS DISTINCT FROM OLD.tenant_id
    )
    EXECUTE FUNCTION academy_user_changed();
CREATE TRIGGER academy_membership_changed AFTER UPDATE ON tenant_membership FOR EACH ROW
    WHEN ((OLD.role, OLD.user_id, OLD.tenant_id) IS DISTINCT FROM (NEW.role, NEW.user_id, NEW.tenant_id))
    EXECUTE FUNCTION academy_membership_changed();
CREATE TRIGGER academy_membership_deleted AFTER DELETE ON tenant_membership FOR EACH ROW
    EXECUTE FUNCTION academy_membership_changed();
CREATE TRIGGER academy_tenant_suspended AFTER UPDATE ON tenant FOR EACH ROW
    WHEN (OLD.active AND NOT NEW.active)
    EXECUTE FUNCTION academy_tenant_suspended();
"""

DROP = """
DROP FUNCTION academy_session_ended() CASCADE;
DROP FUNCTION academy_user_changed() CASCADE;
DROP FUNCTION academy_membership_changed() CASCADE;
DROP FUNCTION academy_tenant_suspended() CASCADE;
DROP FUNCTION academy_revoke(bigint, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0002_login_session_devices"), ("realtime", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
