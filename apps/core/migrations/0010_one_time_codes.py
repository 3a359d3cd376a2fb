"""Adds one-time codes, and changes two triggers so that whatever takes the rights of an account away also ends its codes.

A code must not outlive the rights of the person who issued it either: that person knows it. So closing an account or
changing its role also deletes the codes that it issued for others.

The trigger on memberships now leaves the revocation to code that makes it itself, and tells all processes at once
(`academy.adapters.db.django.session_triggers.revoked_by_caller`).
"""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
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

CREATE OR REPLACE FUNCTION academy_membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM one_time_code WHERE user_id = OLD.user_id OR issued_by_id = OLD.user_id;
    -- Set by code that revokes the account itself, and tells all processes at once.
    IF current_setting('academy.tenant_revoked', true) IS DISTINCT FROM 'on' THEN
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.user_id, 'role_changed');
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
    ELSIF (NEW.must_change_password AND NOT OLD.must_change_password)
        OR NEW.tenant_id IS DISTINCT FROM OLD.tenant_id THEN
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.id, 'account_changed');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION academy_membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.user_id, 'role_changed');
    RETURN NULL;
END $$;
"""

USER = "core.user"


class Migration(migrations.Migration):
    dependencies = [("core", "0009_help_texts")]

    operations = [
        migrations.CreateModel(
            name="OneTimeCode",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="one_time_code",
                        serialize=False,
                        to=USER,
                    ),
                ),
                (
                    "code_hash",
                    models.CharField(help_text="A keyed hash. The code itself is stored nowhere.", max_length=64),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "issued_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=USER),
                ),
            ],
            options={"db_table": "one_time_code"},
        ),
        migrations.RunSQL(CREATE, AS_BEFORE),
    ]
