"""No view of the page breaks axe-core's rules for WCAG 2.2 A and AA, or its rules for best practices."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from academy.adapters.excel.sample import sample_workbook
from embedded import npm
from harness.system import System, demo_lecture, import_workbook
from tests.page.console import Console, is_live

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
STILL = "reduce"
"""Turns animations off: axe must not check a button while its colour still changes."""
# Two options save time: axe makes no selectors, and it lists all elements only for the rules that the page breaks.
RUN = """async rules => {
  const options = { runOnly: rules, selectors: false, resultTypes: ["violations"] };
  const { passes, violations } = await axe.run(document, options);
  return [passes.length, violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])];
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    return Path(npm.packages() / "axe-core" / "axe.min.js").read_text()


async def check(page: Page, axe: str) -> None:
    await page.evaluate(axe)
    passed, violations = await page.evaluate(RUN, RULES)
    assert violations == []
    assert passed > 10


async def check_messages(console: Console, page: Page, axe: str, lecture_id: int) -> None:
    """Check a preview, the students to pick from, and the page of a bulk message."""
    await page.goto(f"{console.address}/messages/new")
    await page.locator("#messages-lecture").select_option(str(lecture_id))
    await page.locator("#messages-text").fill("{name} 학생 🎉")
    await page.locator(".preview[data-old=false] figure").first.wait_for()
    await check(page, axe)
    await page.locator("input[name=messages-by][value=students]").check()
    await page.locator("#messages tbody input").first.check()
    await check(page, axe)
    await page.goto(f"{console.address}/messages")
    await page.locator("#messages tbody a").first.click()
    await page.locator("#messages .message tbody tr").first.wait_for()
    await check(page, axe)


@pytest.mark.parametrize(
    ("width", "colours", "language"), [(360, "dark", "en"), (1440, "light", "ko"), (360, "light", "ko")]
)
async def test_no_view_breaks_a_rule(
    console: Console, system: System, axe: str, width: int, colours: str, language: str
) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(200, seed=61))
        await watcher.until_terminal(f"job:{job_id}")
        lecture = await demo_lecture(client)
        message = await client.post("/api/v1/messages/", json={"text": "휴강", "lecture": lecture["id"]})
        assert message.status_code == 202, message.text
    console.publish("axe:1", "PROCESSING", data={"title": "진행 중인 일"})
    page = await console.open(viewport={"width": width, "height": 800}, color_scheme=colours, reduced_motion=STILL)
    await is_live(page)
    if language == "en":
        await page.get_by_role("button", name="English").click()
    await check(page, axe)
    for path in (
        "/operations",
        "/students",
        "/students/removed",
        "/students/1",
        "/students/999999",
        "/students/import",
        "/messages",
        "/messages/new",
        "/people",
        "/videos",
        "/jobs/axe:1",
        "/jobs/none:1",
    ):
        await page.goto(console.address + path)
        await is_live(page)
        await page.locator("main h1:visible").wait_for()
        await check(page, axe)
    await page.goto(f"{console.address}/lectures")
    await page.locator("#lectures tbody tr").first.wait_for()
    await check(page, axe)
    await page.goto(f"{console.address}/lectures/{lecture['id']}")
    await page.locator(".lessons > li").first.wait_for()
    await check(page, axe)
    await page.locator("#lecture-students + button").click()
    await page.locator(".enrol-dialog tbody input").first.check()
    await check(page, axe)
    await page.goto(f"{console.address}/jobs/{job_id}")
    await page.locator("#job-result .failed-rows button").first.click()
    await page.locator("#job-rows tbody tr").first.wait_for()
    await check(page, axe)
    await check_messages(console, page, axe, lecture["id"])
    async with system.client() as client:  # else the next worker of messages would send it
        cancelled = await client.post(f"/api/v1/jobs/{message.json()['job_id']}/cancel/")
        assert cancelled.status_code == 200, cancelled.text
    await check_people(console, page, axe)
    await page.locator("#sign-out").click()
    await page.locator("#tenant").wait_for()
    await check(page, axe)


@pytest.mark.parametrize(("width", "colours"), [(360, "dark"), (1440, "light")])
async def test_the_view_of_a_student_breaks_no_rule(console: Console, axe: str, width: int, colours: str) -> None:
    viewport = {"width": width, "height": 800}
    page = await console.open("/", "student", viewport=viewport, color_scheme=colours, reduced_motion=STILL)
    await is_live(page)
    await page.locator(".films > li").first.wait_for()
    await check(page, axe)
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def check_people(console: Console, page: Page, axe: str) -> None:
    """Check the page of an account, and the dialog with its one-time code."""
    console.query("DELETE FROM one_time_code RETURNING 1")  # else the page asks whether to replace a code
    await page.goto(f"{console.address}/people?search=teacher")
    await page.locator("#people tbody a").first.click()
    await page.locator(".person .facts-list").wait_for()
    await check(page, axe)
    await page.locator(".person .deeds button").first.click()
    await page.locator(".code-dialog .code").wait_for()
    await check(page, axe)
    await page.keyboard.press("Escape")
