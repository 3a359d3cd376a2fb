"""The statements for a chunk of an import. Their parameters are arrays, which is 40 times faster than literals."""

# The first number of the lock identifies its purpose (to create students), the second number the tenant.
LOCK = "SELECT pg_advisory_xact_lock(7321, (%s %% 2147483647)::int)"

# Parameters: names, parents' phones, tenant. LIMIT lets PostgreSQL look up each student in the index. Without it,
# PostgreSQL compares each wanted student with all students of the tenant as long as it has no statistics of the table,
# as in the first large import.
FIND_ACTIVE = """
SELECT found.id, wanted.name, wanted.phone FROM unnest(%s::text[], %s::text[]) AS wanted (name, phone)
CROSS JOIN LATERAL (
    SELECT id FROM students
    WHERE tenant_id = %s AND name = wanted.name AND parent_phone = wanted.phone AND deleted_at IS NULL
    LIMIT 1
) AS found
"""

FIND_NEWEST_DELETED = """
SELECT found.id, wanted.name, wanted.phone FROM unnest(%s::text[], %s::text[]) AS wanted (name, phone)
CROSS JOIN LATERAL (
    SELECT id FROM students
    WHERE tenant_id = %s AND name = wanted.name AND parent_phone = wanted.phone AND deleted_at IS NOT NULL
    ORDER BY deleted_at DESC, id DESC
    LIMIT 1
) AS found
"""

# Each part reads the tables as they were before the statement. So a part sees the new rows of another part only through
# RETURNING. For an existing parent, DO UPDATE writes the phone that the row already has, because DO NOTHING would
# return no id. The lecture is selected by id and tenant, so that a job with another academy's lecture enrols nobody.
SAVE = """
WITH input AS (
    SELECT * FROM unnest(
        %(names)s::text[], %(parent_phones)s::text[], %(phones)s::text[], %(schools)s::text[], %(grades)s::text[],
        %(deleted_ids)s::bigint[], %(usernames)s::text[]
    ) AS input (name, parent_phone, phone, school, grade, deleted_id, username)
), parent AS (
    INSERT INTO parents (tenant_id, name, phone, created_at)
    SELECT DISTINCT %(tenant)s::bigint, '', parent_phone, now() FROM input WHERE deleted_id IS NULL
    ON CONFLICT (tenant_id, phone) DO UPDATE SET phone = EXCLUDED.phone
    RETURNING id, phone
), account AS (
    INSERT INTO "user" (tenant_id, username, name, password, is_active, is_superuser, must_change_password, created_at)
    SELECT %(tenant)s, username, name, %(password)s, true, false, true, now() FROM input WHERE deleted_id IS NULL
    RETURNING id, username
), created AS (
    INSERT INTO students (
        tenant_id, user_id, parent_id, name, phone, parent_phone, school, grade, created_at, updated_at
    )
    SELECT %(tenant)s, account.id, parent.id, input.name, input.phone, parent_phone, school, grade, now(), now()
    FROM input JOIN account USING (username) JOIN parent ON parent.phone = parent_phone
    ON CONFLICT (tenant_id, name, parent_phone) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id, user_id, name, parent_phone
), restored AS (
    UPDATE students SET
        deleted_at = NULL,
        updated_at = now(),
        phone = COALESCE(NULLIF(input.phone, ''), students.phone),
        school = COALESCE(NULLIF(input.school, ''), students.school),
        grade = COALESCE(NULLIF(input.grade, ''), students.grade)
    FROM input
    WHERE students.id = input.deleted_id AND students.tenant_id = %(tenant)s AND students.deleted_at IS NOT NULL
    RETURNING students.id, students.user_id, students.name, students.parent_phone
), reactivated AS (
    UPDATE "user" SET is_active = true
    FROM restored WHERE "user".id = restored.user_id AND NOT "user".is_active
), member AS (
    INSERT INTO tenant_membership (tenant_id, user_id, role, created_at)
    SELECT %(tenant)s, user_id, %(role)s, now()
    FROM (SELECT user_id FROM created UNION ALL SELECT user_id FROM restored) AS everybody
    ON CONFLICT (tenant_id, user_id) DO NOTHING
), enrolled AS (
    INSERT INTO enrollment (tenant_id, lecture_id, student_id, created_at)
    SELECT %(tenant)s, lecture.id, everybody.id, now()
    FROM lecture, (
        SELECT id FROM created UNION SELECT id FROM restored UNION SELECT unnest(%(present)s::bigint[])
    ) AS everybody (id)
    WHERE lecture.id = %(lecture)s AND lecture.tenant_id = %(tenant)s
    ON CONFLICT (lecture_id, student_id) DO NOTHING
)
SELECT 'created', id, name, parent_phone FROM created
UNION ALL
SELECT 'restored', id, name, parent_phone FROM restored
UNION ALL
SELECT 'lecture', id, '', '' FROM lecture WHERE id = %(lecture)s AND tenant_id = %(tenant)s
"""
