"""Each view of the page has an address: back, reload and a copied link work, and title and focus follow."""

import re

import httpx
import pytest
from playwright.async_api import Page, expect

from harness.system import System
from tests.page.console import Console, is_live, job, shows

ABSENT = "/jobs/6b7a9c2e-0000-4000-8000-000000000000"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_links_change_the_address_title_and_focus_and_back_and_forward_work(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    await shows(page, "now")
    await expect(page).to_have_title("진행 중인 작업과 최근 결과 · 학원 작업 현황")
    await page.evaluate("window.here = true")
    await page.get_by_role("link", name="동영상", exact=True).click()
    await shows(page, "videos")
    await expect(page).to_have_url(re.compile("/videos$"))
    await expect(page).to_have_title("강의 동영상 · 학원 작업 현황")
    await page.get_by_role("link", name="명단 가져오기").press("Enter")
    await shows(page, "imports")
    await page.go_back()
    await shows(page, "videos")
    await page.go_back()
    await shows(page, "now")
    await page.go_forward()
    await shows(page, "videos")
    assert await page.evaluate("window.here"), "nothing was loaded again"
    await expect(page.get_by_role("link", name="동영상", exact=True)).to_have_attribute("aria-current", "page")
    await page.get_by_role("button", name="English").click()
    await expect(page).to_have_title("Lecture videos · Academy work")


async def test_a_copied_link_opens_the_same_job_in_another_browser_and_after_a_reload(console: Console) -> None:
    console.publish("report:2026-03", "PROCESSING", data={"title": "월말 보고서"})
    first = await console.open()
    await job(first, "월말 보고서").get_by_role("link").click()
    await shows(first, "job")
    await expect(first.locator("#job-title")).to_have_text("월말 보고서")
    path = await first.evaluate("location.pathname")
    second = await console.open(path, "teacher")
    await shows(second, "job")
    await expect(second.locator("#job-title")).to_have_text("월말 보고서")
    await expect(second).to_have_title("월말 보고서 · 학원 작업 현황")
    await second.reload()
    await expect(second.locator("#job-title")).to_have_text("월말 보고서")
    console.publish("report:2026-03", "DONE", data={"title": "월말 보고서"})
    await expect(second.locator("#job-state")).to_have_text("완료")


@pytest.mark.parametrize("path", [ABSENT, "/jobs/report:no-such", "/jobs/없는 것", "/videos/999999"])
async def test_a_link_to_a_job_that_does_not_exist_says_so(console: Console, path: str) -> None:
    page = await console.open(path)
    await expect(page.locator("#job-title")).to_have_text("작업을 찾을 수 없습니다")
    await expect(page.locator("#job-problem")).to_contain_text("다른 학원의 작업입니다")


async def test_a_link_that_the_role_may_not_open_says_so_and_keeps_the_address(console: Console) -> None:
    page = await console.open("/videos", "student")
    await shows(page, "refused")
    await expect(page.get_by_role("heading", name="다른 역할의 화면입니다")).to_be_visible()
    await expect(page).to_have_title("다른 역할의 화면입니다 · 학원 작업 현황")
    await expect(page).to_have_url(re.compile("/videos$"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        ABSENT,
        "/jobs/report:1",
        "/lectures",
        "/lectures/7",
        "/messages",
        "/messages/new",
        "/my",
        "/operations",
        "/people",
        "/people/7",
        "/videos",
        "/videos/7",
        "/students",
        "/students/7",
        "/students/import",
        "/students/removed",
    ],
)
async def test_the_server_answers_each_address_with_the_page(system: System, path: str) -> None:
    async with httpx.AsyncClient(base_url=system.address) as client:
        page, other = await client.get(path), await client.get("/")
    assert (page.status_code, page.content) == (200, other.content)
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/jobs/", "/people/x", "/videos/x", "/students/x", "/jobs/a/b", "/messages/a/b"]
)
async def test_other_paths_are_not_found(system: System, path: str) -> None:
    async with httpx.AsyncClient(base_url=system.address) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_on_load_nothing_is_asked_twice_and_nothing_is_polled_while_the_connection_is_live(
    console: Console, system: System
) -> None:
    academy = system.add_academy()  # jobs of other tests would make the page ask for them, some seconds later
    page = await console.open(academy=academy)
    await is_live(page)
    await page.goto("about:blank")  # so that no late request of the first page is counted
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.removeprefix(console.address)}"))
    await page.goto(console.address)
    await is_live(page)
    console.publish("quiet:1", "PROCESSING", academy=academy, data={"title": "조용한 일"})
    await expect(job(page, "조용한 일")).to_be_visible()
    await page.get_by_role("link", name="동영상", exact=True).click()
    await shows(page, "videos")
    await page.go_back()
    await shows(page, "now")
    once = sorted(request for request in asked if "/realtime/ticket/" not in request)  # each connection needs its own
    assert any("/api/v1/jobs/" in request for request in once)
    assert once == sorted(set(once))


@pytest.mark.parametrize("language", ["ko", "en"])
async def test_no_view_is_wider_than_a_phone(console: Console, language: str) -> None:
    console.publish("wide:1", "FAILED", data={"title": "아주 긴 이름의 월말 상담 보고서 모음 (전체 학년, 전체 반)"})
    page = await console.open(viewport={"width": 360, "height": 740}, color_scheme="dark")
    await is_live(page)
    if language == "en":
        await page.get_by_role("button", name="English").click()
    students = ("/students", "/students/removed", "/students/import")
    for path in (
        "/",
        "/jobs/wide:1",
        "/lectures",
        "/messages",
        "/messages/new",
        "/people",
        "/people/1",
        "/videos",
        *students,
    ):
        await page.goto(console.address + path)
        await is_live(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == 360, path


async def test_the_first_useful_paint_takes_less_than_100_kb(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    await page.reload()
    await shows_again(page)
    loaded = "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
    sizes = await page.evaluate(f"{loaded}.map(({{ name, encodedBodySize }}) => [name, encodedBodySize])")
    page_itself = [(name, size) for name, size in sizes if not re.search("/(api|media)/", name)]  # without the data
    assert sum(size for _, size in page_itself) < 100_000, page_itself
    assert not any("hls" in name for name, _ in sizes)


async def shows_again(page: Page) -> None:
    """Wait until the list of jobs is filled after a reload."""
    await is_live(page)
    await expect(page.locator("#now-list > li")).not_to_have_count(0)
