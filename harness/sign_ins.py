"""Sign-ins that no other test uses, so that a test may revoke them."""

import httpx

from harness.system import PASSWORD, PATIENCE_SECONDS, System
from harness.watcher import Watcher

REVOKED = 4410
SOON_SECONDS = PATIENCE_SECONDS
"""How long a test waits for the end of revoked connections. A revocation takes up to 1 s, or longer on a busy machine.
"""
STUDENT_OF_A_VIDEO = """
    WITH student AS (
        SELECT s.id, s.user_id, s.tenant_id FROM students s JOIN "user" u ON u.id = s.user_id
        JOIN tenant t ON t.id = s.tenant_id WHERE t.code = 'hanbit' AND u.username = 'student'
    ), attended AS (
        INSERT INTO lecture (tenant_id, title, description, active, created_at)
        SELECT tenant_id, 'L', '', true, now() FROM student RETURNING id, tenant_id
    ), enrolment AS (
        INSERT INTO enrollment (tenant_id, lecture_id, student_id, created_at)
        SELECT student.tenant_id, attended.id, student.id, now() FROM student, attended RETURNING id
    ), lesson AS (
        INSERT INTO lecture_session (tenant_id, lecture_id, title, "order")
        SELECT tenant_id, id, '1', 1 FROM attended RETURNING id, tenant_id
    ), film AS (
        INSERT INTO video
            (tenant_id, session_id, title, status, attempt, hls_path, file_name, source, created_at, updated_at)
        SELECT tenant_id, id, 'V', 'READY', 1, '', '', '', now(), now() FROM lesson RETURNING id
    )
    SELECT film.id, enrolment.id, student.tenant_id, student.user_id FROM film, enrolment, student
"""
"""SQL that makes a video for the demo data's student, and returns the ids of video, enrolment, tenant and user."""


async def signed_in(system: System, username: str = "staff", academy: str = "hanbit") -> httpx.AsyncClient:
    """Sign in, and return a client with a session of its own, which the test may end."""
    async with httpx.AsyncClient(base_url=system.address, timeout=PATIENCE_SECONDS) as once:
        tokens = (await once.post("/api/v1/auth/token/", json=account_of(username, academy))).json()
    return with_token(system, tokens["access"])


def account_of(username: str, academy: str = "hanbit") -> dict[str, str]:
    return {"tenant": academy, "username": username, "password": PASSWORD}


def with_token(system: System, access: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {access}"}
    return httpx.AsyncClient(base_url=system.address, timeout=PATIENCE_SECONDS, headers=headers)


async def watching(system: System, client: httpx.AsyncClient) -> Watcher:
    watcher = await system.watcher(client)
    await watcher.read_until("snapshot")
    return watcher
