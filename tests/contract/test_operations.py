"""Tests of the operators' page over HTTP: who may use it, its ticket, and what it does with dead letters."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from embedded.plan import Web
from harness.letters import put_letter
from harness.operators import form_token, running_admin, sign_in_operator
from harness.system import System, eventually, eventually_now, tenant_of
from harness.watcher import Watcher
from realtime.records.topics import STATS
from tests.page.test_imports import worker_held

PATH = "/admin/operations/"
UNREADABLE = "no JSON at all"


@pytest.fixture(scope="module")
def admin(system: System) -> Iterator[Web]:
    with running_admin(system, "watcher", "second") as web:
        yield web


@pytest.fixture
def operator(admin: Web) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=admin.address, timeout=60, follow_redirects=True) as client:
        sign_in(client, "watcher")
        yield client


def sign_in(client: httpx.Client, username: str) -> None:
    """Sign in to the page, and give the client the headers of the page's own requests."""
    assert sign_in_operator(client, username, goal=PATH).url.path == PATH
    client.headers.update(
        {
            "X-CSRFToken": form_token(client, PATH),
            "Origin": str(client.base_url).rstrip("/"),
            "Referer": str(client.base_url),
        }
    )


def deed(client: httpx.Client, what: str, queue: str, letter: str) -> httpx.Response:
    return client.post(f"{PATH}dead-letters/{what}/", json={"queue": queue, "id": letter})


def letters(client: httpx.Client, letter: str) -> list[dict[str, Any]]:
    """Look at the dead letters, and return those with this id. Other tests share the queues."""
    found = client.get(f"{PATH}dead-letters/").json()["results"]
    return [each for each in found if each["id"] == letter]


def test_the_page_opens_for_an_operator_and_says_where_it_may_connect(operator: httpx.Client) -> None:
    answer = operator.get(PATH)
    assert answer.status_code == 200
    assert "connect-src 'self' ws://" in answer.headers["Content-Security-Policy"]
    assert 'href="/admin/operations/"' in operator.get("/admin/").text


def test_nobody_else_may_use_it(system: System, admin: Web, operator: httpx.Client) -> None:
    owner = {"Authorization": f"Bearer {system.access_token('hanbit', 'owner')}"}
    with httpx.Client(base_url=admin.address, headers=owner) as client:
        assert client.get(PATH).headers["Location"].startswith("/admin/login/")
        assert client.get(f"{PATH}dead-letters/").status_code == 401
        for path in ("ticket/", "dead-letters/delete/", "dead-letters/send-back/"):
            assert client.post(PATH + path).status_code in {401, 403}
    del operator.headers["X-CSRFToken"]
    for path in ("ticket/", "dead-letters/delete/", "dead-letters/send-back/"):
        assert operator.post(PATH + path, json={}).status_code == 403  # a page of another site has no token
        assert operator.get(PATH + path).status_code == 405
    assert httpx.get(system.address + PATH).status_code == 404  # where the admin is off


async def test_the_ticket_shows_the_figures_of_all_until_the_operator_signs_out(operator: httpx.Client) -> None:
    ticket = (await asyncio.to_thread(operator.post, f"{PATH}ticket/")).json()
    async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
        await watcher.until(lambda: "tenants" in watcher.records.get(STATS, {}).get("data", {}), "the figures of all")
        as_token = {"Authorization": f"Bearer {ticket['ticket']}"}
        refused = await asyncio.to_thread(operator.get, "/api/v1/students/", headers=as_token)
        assert refused.status_code == 401
        await asyncio.to_thread(operator.post, "/admin/logout/")
        assert (await watcher.closed())[0] == 4410
    assert (await asyncio.to_thread(operator.post, f"{PATH}ticket/")).status_code == 401


async def test_a_changed_operators_account_ends_what_it_watches(system: System, admin: Web) -> None:
    with httpx.Client(base_url=admin.address, timeout=30, follow_redirects=True) as client:
        sign_in(client, "second")
        ticket = (await asyncio.to_thread(client.post, f"{PATH}ticket/")).json()
    with httpx.Client(base_url=admin.address, timeout=30, follow_redirects=True) as boss:
        sign_in(boss, "watcher")
        ((pk,),) = system.query("SELECT id FROM \"user\" WHERE username = 'second' AND tenant_id IS NULL")
        async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
            path = f"/admin/core/user/{pk}/change/"
            inline = {f"memberships-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
            fields = {"csrfmiddlewaretoken": form_token(boss, path), "username": "second", **inline}
            answer = await asyncio.to_thread(boss.post, path, data=fields)
            assert answer.url.path == "/admin/core/user/", answer.text[:3000]
            assert (await watcher.closed())[0] == 4410


def test_a_letter_is_looked_at_and_deleted(system: System, operator: httpx.Client) -> None:
    letter = put_letter(system, "video", UNREADABLE, reason="It is malformed.", receives=4)
    (shown,) = letters(operator, letter)
    assert shown["given_up_at"] > 1_700_000_000
    del shown["given_up_at"]
    assert shown == {
        "queue": "video",
        "id": letter,
        "receives": 4,
        "tenant": "",
        "about": UNREADABLE,
        "reason": "It is malformed.",
    }
    assert len(letters(operator, letter)) == 1  # looking changes nothing
    assert deed(operator, "delete", "video", letter).json() == {"done": "deleted."}
    assert letters(operator, letter) == []
    gone = deed(operator, "delete", "video", letter)
    assert (gone.status_code, gone.json()["code"]) == (404, "letter_gone")
    log = [json.loads(line) for line in system_log(system) if '"academy.audit"' in line]
    events = [(line["event"], line["outcome"], line["subject"]) for line in log if line["event"].startswith("dead_")]
    assert ("dead_letter_deleted", "ok", f"letter:{letter}") in events
    assert ("dead_letters_read", "ok", "") in events


def system_log(system: System) -> list[str]:
    return [line for file in system.folder.glob("web*.log") for line in file.read_text().splitlines()]


async def test_the_job_of_a_letter_is_tried_again_and_done(system: System, operator: httpx.Client) -> None:
    with worker_held(system):
        async with system.client() as client:
            answer = await client.post("/api/v1/students/export/", json={})
            job_id = answer.json()["job_id"]
        system.query("UPDATE aijob SET status = 'FAILED', finished_at = now() WHERE job_id = %s RETURNING 1", job_id)
        body = {
            "job_id": job_id,
            "job_type": "student_export",
            "tenant_code": "hanbit",
            "tenant_id": tenant_of(system, "hanbit"),
        }
        letter = put_letter(system, "ai", body, reason="It could not be done.")
        (shown,) = await asyncio.to_thread(letters, operator, letter)
        assert (shown["tenant"], shown["about"]) == ("hanbit", f"job {job_id}")
    done = deed(operator, "send-back", "ai", letter)
    assert "is tried again" in done.json()["done"]
    state = "SELECT status, attempt FROM aijob WHERE job_id = %s"
    await eventually(lambda: system.query(state, job_id) == [("DONE", 2)], what="the end of the second attempt")
    assert await asyncio.to_thread(letters, operator, letter) == []
    letter = put_letter(system, "ai", body)
    refused = deed(operator, "send-back", "ai", letter)
    assert (refused.status_code, refused.json()["code"]) == (409, "job_ended")
    assert deed(operator, "delete", "ai", letter).status_code == 200


def test_two_operators_do_not_hide_letters_from_each_other(system: System, operator: httpx.Client) -> None:
    with Redis.from_url(system.redis.url) as redis:
        redis.set("worker:dead-letters", "another", ex=60)
        refused = operator.get(f"{PATH}dead-letters/")
        assert (refused.status_code, refused.json()["code"]) == (409, "letters_busy")
        redis.delete("worker:dead-letters")
    assert operator.get(f"{PATH}dead-letters/").status_code == 200
    with Redis.from_url(system.redis.url) as redis:
        eventually_now(lambda: not redis.exists("worker:dead-letters"), "the end of the look")


@pytest.mark.parametrize("body", ["", "[]", '{"queue": "ai"}', '{"queue": "other", "id": "1"}', "\ud800"])
def test_a_body_that_names_no_letter_is_refused(operator: httpx.Client, body: str) -> None:
    content = body.encode("utf-8", "surrogatepass")
    for what in ("delete", "send-back"):
        assert operator.post(f"{PATH}dead-letters/{what}/", content=content).status_code in {400, 404}
