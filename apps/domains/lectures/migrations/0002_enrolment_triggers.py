"""Adds triggers that revoke the tickets of a student and the parent when an enrolment or the student is deleted.

The tickets of students and parents name videos. Whether these may be watched is checked when a ticket is requested, but
not when it is renewed. So every deletion of an enrolment, by the API, the admin, a shell or SQL, must revoke the tickets.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION academy_revoke_student(student bigint, cause text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM academy_revoke(s.tenant_id, 'user:' || u.id, cause)
    FROM students s
    LEFT JOIN parents p ON p.id = s.parent_id
    CROSS JOIN LATERAL (VALUES (s.user_id), (p.user_id)) AS u (id)
    WHERE s.id = student AND u.id IS NOT NULL;
END $$;

CREATE FUNCTION academy_enrolment_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Set by code that revokes it itself, and tells all processes at once.
    IF current_setting('academy.tenant_revoked', true) IS DISTINCT FROM 'on' THEN
        PERFORM academy_revoke_student(OLD.student_id, 'enrolment_ended');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION academy_student_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_parent bigint;
BEGIN
    SELECT user_id INTO old_parent FROM parents WHERE id = OLD.parent_id;
    PERFORM academy_revoke(OLD.tenant_id, 'user:' || old_parent, 'student_changed') WHERE old_parent IS NOT NULL;
    IF OLD.user_id IS DISTINCT FROM NEW.user_id OR NEW.deleted_at IS NOT NULL THEN
        PERFORM academy_revoke(OLD.tenant_id, 'user:' || OLD.user_id, 'student_changed');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER academy_enrolment_deleted AFTER DELETE ON enrollment FOR EACH ROW
    EXECUTE FUNCTION academy_enrolment_ended();
CREATE TRIGGER academy_enrolment_changed AFTER UPDATE ON enrollment FOR EACH ROW
    WHEN ((OLD.lecture_id, OLD.student_id) IS DISTINCT FROM (NEW.lecture_id, NEW.student_id))
    EXECUTE FUNCTION academy_enrolment_ended();
CREATE TRIGGER academy_student_changed AFTER UPDATE ON students FOR EACH ROW
    WHEN (
        (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
        OR (OLD.parent_id, OLD.user_id) IS DISTINCT FROM (NEW.parent_id, NEW.user_id)
    )
    EXECUTE FUNCTION academy_student_changed();
"""

DROP = """
DROP FUNCTION academy_student_changed() CASCADE;
DROP FUNCTION academy_enrolment_ended() CASCADE;
DROP FUNCTION academy_revoke_student(bigint, text);
"""


class Migration(migrations.Migration):
    dependencies = [("lectures", "0001_initial"), ("students", "0002_indexes"), ("core", "0003_revocation_triggers")]

    operations = [migrations.RunSQL(CREATE, DROP)]
