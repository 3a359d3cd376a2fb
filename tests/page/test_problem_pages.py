"""Tests that a person's browser gets a page with a link home where other clients get a JSON error."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest
from django.template import TemplateDoesNotExist
from django.test import RequestFactory
from playwright.async_api import Browser, expect
from structlog.testing import capture_logs

from apps.page import problem_pages
from embedded.plan import Web
from harness.system import System

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture(scope="module")
def admin(system: System) -> Iterator[Web]:
    with system.another_web(ADMIN_SITE="on") as web:
        yield web


def home_of(text: str) -> str:
    (home,) = set(re.findall(r'<a href="([^"]+)"', text))
    return str(home)


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, text/plain, */*"])
def test_a_client_of_the_api_gets_json_at_an_unknown_address(system: System, accept: str) -> None:
    answer = httpx.get(f"{system.address}/nowhere", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/nowhere", "/people/x", "/admin/"])
def test_a_browser_gets_a_page_in_korean_and_english_at_an_unknown_address(system: System, path: str) -> None:
    answer = httpx.get(system.address + path, headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "없는 화면입니다" in answer.text
    assert "There is no such page" in answer.text
    assert home_of(answer.text) == "/"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_form_without_its_token_and_a_request_for_another_site_get_a_page_too(admin: Web) -> None:
    form = httpx.post(f"{admin.address}/admin/login/", headers={"Accept": BROWSER}, data={"username": "operator"})
    assert (form.status_code, home_of(form.text)) == (403, "/admin/")
    assert "The form was not accepted" in form.text
    ours = httpx.post(f"{admin.address}/admin/operations/ticket/", headers={"Accept": "application/json"})
    assert (ours.status_code, ours.json()["code"]) == (403, "csrf")
    other = httpx.get(admin.address, headers={"Accept": BROWSER, "Host": "elsewhere.example"})
    assert (other.status_code, home_of(other.text)) == (400, "/")


@pytest.mark.parametrize(
    ("name", "arguments", "status", "code"),
    [
        ("answer_bad_request", [BadRequest()], 400, "bad_request"),
        ("answer_forbidden", [PermissionDenied()], 403, "forbidden"),
        ("answer_server_error", [], 500, "internal"),
    ],
)
def test_every_other_refusal_has_a_page_of_its_own(
    name: str, arguments: list[Exception], status: int, code: str
) -> None:
    def answer(accept: str) -> tuple[int, str]:
        request: HttpRequest = RequestFactory().get("/", headers={"Accept": accept})
        answered = getattr(problem_pages, name)(request, *arguments)
        return answered.status_code, answered.content.decode()

    found, text = answer(BROWSER)
    assert (found, home_of(text)) == (status, "/")
    assert all(sentence in text for language in problem_pages.PAGES[code] for sentence in language)
    assert (answer("*/*")[0], f'"code": "{code}"' in answer("*/*")[1]) == (status, True)


HOSTILE = ["text/html;q*=foo''%41", "text/html;q*=idna''%ff", "text/html;x*=punycode''%ff", "text/html;q*0=1;q*=0"]


@pytest.mark.parametrize("accept", HOSTILE)
@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("answer_bad_request", [BadRequest()], 400),
        ("answer_forbidden", [PermissionDenied()], 403),
        ("answer_csrf_failure", [], 403),
        ("answer_not_found", [Http404()], 404),
        ("answer_server_error", [], 500),
    ],
)
def test_an_accept_header_that_cannot_be_decoded_gets_json(
    accept: str, name: str, arguments: list[Exception], status: int
) -> None:
    request: HttpRequest = RequestFactory().get("/", headers={"Accept": accept})
    answered = getattr(problem_pages, name)(request, *arguments)
    assert (answered.status_code, answered["Content-Type"]) == (status, "application/json")


@pytest.mark.parametrize("accept", HOSTILE)
def test_a_server_answers_such_an_accept_header_too(system: System, accept: str) -> None:
    unknown = httpx.get(f"{system.address}/nowhere", headers={"Accept": accept})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    other = httpx.get(system.address, headers={"Accept": accept, "Host": "elsewhere.example"})
    assert (other.status_code, other.json()["code"]) == (400, "bad_request")


def test_an_error_of_the_server_gets_json_if_its_page_cannot_be_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> str:
        raise TemplateDoesNotExist("page/problem.html")

    monkeypatch.setattr(problem_pages, "render_to_string", fails)
    request: HttpRequest = RequestFactory().get("/", headers={"Accept": BROWSER})
    with capture_logs() as logs:
        answered = problem_pages.answer_server_error(request)
    assert (answered.status_code, json.loads(answered.content)["code"]) == (500, "internal")
    assert [line["event"] for line in logs] == ["page_not_rendered"]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_from_the_page_of_an_unknown_address_one_click_leads_home(browser: Browser, system: System) -> None:
    context = await browser.new_context(viewport={"width": 360, "height": 700})
    page = await context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None)
    await page.goto(f"{system.address}/nowhere")
    await expect(page.get_by_role("heading", name="없는 화면입니다")).to_be_visible()
    assert problems == []
    await page.get_by_role("link", name=re.compile("^처음 화면으로")).click()
    await expect(page.locator("#sign-in-title")).to_be_visible(timeout=60_000)
    await context.close()
