"""`manage.py realtime_revoke` against a running system."""

from collections.abc import Iterator
from subprocess import CompletedProcess

import httpx
import jwt
import pytest

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.system import PASSWORD, System, new_ticket, running_system


@pytest.fixture(scope="module")
def shared_revoking(template: Servers) -> Iterator[System]:
    with scratch_folder("system") as folder, running_system(template, folder, "revoking_system") as running:
        yield running


@pytest.fixture
def revoking(shared_revoking: System) -> System:
    """Return a system for the tests that revoke. Its users sign in again for each test."""
    shared_revoking.forget_tokens()
    return shared_revoking


def revoke(system: System, *words: str, **environment: str) -> CompletedProcess[str]:
    return system.managed("realtime_revoke", *words, **environment)


async def test_the_connections_of_one_user_are_ended(revoking: System) -> None:
    async with revoking.client() as owner, revoking.client("saebom") as other:
        async with await revoking.watcher(owner) as watcher, await revoking.watcher(other) as unconcerned:
            await watcher.read_until("snapshot")
            await unconcerned.read_until("snapshot")
            done = revoke(revoking, "--tenant", "hanbit", "--user", "owner")
            assert done.returncode == 0, done.stdout
            assert (await watcher.closed())[0] == 4410
            assert "User owner (id " in done.stdout
            assert "of hanbit (id " in done.stdout
            assert "within a second" in done.stdout
            assert (await owner.post("/api/v1/realtime/ticket/", json={})).status_code == 401
            await new_ticket(other)
            # The user can sign in again.
            account = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}
            assert (await owner.post("/api/v1/auth/token/", json=account)).status_code == 200


async def test_a_revoked_user_cannot_refresh_a_token_either(revoking: System) -> None:
    async with httpx.AsyncClient(base_url=revoking.address, timeout=60) as client:
        for words in (["--user", "staff"], ["--session", ""], []):
            account = {"tenant": "hanbit", "username": "staff", "password": PASSWORD}
            tokens = (await client.post("/api/v1/auth/token/", json=account)).json()
            claims = jwt.decode(tokens["access"], options={"verify_signature": False})
            done = revoke(revoking, "--tenant", "hanbit", *(word or claims["session"] for word in words))
            assert done.returncode == 0, done.stdout
            answer = await client.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})
            assert answer.status_code == 401


async def test_the_connections_of_a_session_or_a_whole_tenant_are_ended(revoking: System) -> None:
    async with revoking.client("saebom") as client, await revoking.watcher(client) as watcher:
        await watcher.read_until("snapshot")
        ((session_id,),) = revoking.query(
            'SELECT s.id FROM login_session s JOIN "user" u ON u.id = s.user_id JOIN tenant t ON t.id = u.tenant_id '
            "WHERE t.code = 'saebom' AND u.username = 'owner' ORDER BY s.created_at DESC LIMIT 1"
        )
        done = revoke(revoking, "--tenant", "saebom", "--session", str(session_id))
        assert f"Session {session_id} of saebom" in done.stdout
        assert (await watcher.closed())[0] == 4410
    async with revoking.client("hanbit", "staff") as client, await revoking.watcher(client) as watcher:
        await watcher.read_until("snapshot")
        assert "Everybody of hanbit" in revoke(revoking, "--tenant", "hanbit").stdout
        assert (await watcher.closed())[0] == 4410


def test_it_says_that_redis_cannot_be_reached(own_system: System) -> None:
    """The test needs its own system, because the relay soon finds the stored revocation and signs out all of hanbit."""
    done = revoke(own_system, "--tenant", "hanbit", REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert "Older tokens and tickets work until it can" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tenant", "nobody"], "There is no tenant 'nobody'."),
        (["--tenant", "hanbit", "--user", "nobody"], "There is no user 'nobody' in hanbit."),
    ],
)
def test_an_unknown_tenant_or_user_is_answered_with_a_sentence(
    system: System, words: list[str], complaint: str
) -> None:
    done = revoke(system, *words)
    assert done.returncode == 1
    assert complaint in done.stdout
    assert "Traceback" not in done.stdout
