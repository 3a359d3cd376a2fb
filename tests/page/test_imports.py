"""The view of imports against a complete running system, and signing in and out."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Locator, Page, WebSocketRoute, expect

from embedded.plan import Worker
from harness.browser import new_context
from harness.slow_imports import slow_imports
from harness.system import PASSWORD, System

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

GOOD, TWINS, BAD = 4000, 40, 60
# Records each value of the progress bar.
RECORD_BAR = """() => {
  window.values = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) values.push(Number(target.getAttribute("aria-valuenow")));
  }).observe(document.body, { subtree: true, attributeFilter: ["aria-valuenow"] });
}"""

SignIn = Callable[..., Awaitable[Page]]


def workbook(name: str, *, good: int = GOOD) -> FilePayload:
    """Return a .csv file: a header in line 1, the bad lines, the good lines, and some of the good lines again."""
    people = [f"{name}{n},010-77{n // 10_000:02d}-{n % 10_000:04d}" for n in range(good)]
    bad = [f"전화없음{n}," if n % 2 else ",010-1234-5678" for n in range(BAD)]
    lines = ["이름,학부모 전화", *bad, *people, *people[:TWINS]]
    return {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}


@contextmanager
def held(worker: Worker) -> Iterator[None]:
    """Freeze a worker, so that its running jobs make no progress."""
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def worker_held(system: System) -> Iterator[None]:
    """Freeze the worker of imports and exports."""
    with held(system.worker):
        yield


@pytest_asyncio.fixture(loop_scope="module")
async def sign_in(browser: Browser, system: System) -> AsyncIterator[SignIn]:
    """Yield a function that signs in to an academy as a user. Each call uses a new browser context."""
    contexts = []

    async def enter(tenant: str, username: str) -> Page:
        contexts.append(await new_context(browser))
        page = await contexts[-1].new_page()
        await page.goto(f"{system.address}/students/import")
        await fill_in(page, tenant, username, PASSWORD)
        return page

    yield enter
    for context in contexts:
        await context.close()


async def fill_in(page: Page, tenant: str, username: str, password: str) -> None:
    """Fill in the sign-in form, going from field to field with Tab, and submit it with Enter."""
    await page.get_by_label("학원 코드").fill(tenant)
    await page.keyboard.press("Tab")
    await page.keyboard.type(username)
    await page.keyboard.press("Tab")
    await page.keyboard.type(password)
    await page.keyboard.press("Enter")


async def is_live(page: Page) -> None:
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


async def percent(page: Page, name: str) -> int:
    return int(await card(page, name).get_by_role("progressbar").get_attribute("aria-valuenow") or "-1")


async def ends(page: Page, name: str, status: str = "DONE") -> None:
    await expect(card(page, name)).to_have_attribute("data-status", status)


async def test_the_progress_of_an_import_is_shown_in_every_browser_of_the_academy_and_no_other(
    sign_in: SignIn, system: System
) -> None:
    owner, teacher = await sign_in("hanbit", "owner"), await sign_in("hanbit", "teacher")
    stranger = await sign_in("saebom", "owner")
    for page in (owner, teacher, stranger):
        await is_live(page)
    await owner.evaluate(RECORD_BAR)
    with slow_imports(system):
        await owner.set_input_files("#file", workbook("봄학기"))
        bar = card(teacher, "봄학기.csv").get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-8]\d$"))
        with worker_held(system):
            before = await percent(teacher, "봄학기.csv")
            await teacher.reload()
            await is_live(teacher)
            assert before <= await percent(teacher, "봄학기.csv") < 100
        await owner.wait_for_function("() => new Set(values).size > 5")

    for page in (owner, teacher):
        await ends(page, "봄학기.csv")
        counts = await card(page, "봄학기.csv").locator("dd").all_text_contents()
        assert counts == [f"{GOOD:,}", "0", str(TWINS), str(BAD)]
    values = await owner.evaluate("values")
    assert values == sorted(values)
    await expect(owner.locator("#spoken")).to_contain_text("봄학기.csv: 완료했습니다.")
    await is_live(stranger)
    await expect(card(stranger, "봄학기.csv")).to_have_count(0)


async def test_after_a_reload_the_bar_is_indeterminate_until_progress_arrives(sign_in: SignIn, system: System) -> None:
    page = await sign_in("saebom", "owner")
    await is_live(page)
    with slow_imports(system, "saebom"):
        await page.set_input_files("#file", workbook("여름학기"))
        bar = card(page, "여름학기.csv").get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-8]\d$"))
        with worker_held(system):
            await _look_during_a_reload(page, bar)
    await ends(page, "여름학기.csv")


async def _look_during_a_reload(page: Page, bar: Locator) -> None:
    answers = asyncio.Event()

    async def hold(socket: WebSocketRoute) -> None:
        await answers.wait()
        socket.connect_to_server()

    await page.route_web_socket("**/ws/events/**", hold)
    before = await percent(page, "여름학기.csv")
    await page.reload()
    await expect(card(page, "여름학기.csv")).to_contain_text("불러오는 중…")
    await expect(bar).to_have_attribute("aria-valuetext", re.compile("^불러오는 중…"))
    assert await bar.get_attribute("aria-valuenow") is None
    await expect(card(page, "여름학기.csv")).not_to_contain_text("%")
    await page.get_by_role("button", name="English").click()
    await expect(card(page, "여름학기.csv")).to_contain_text("Loading…")
    answers.set()
    await is_live(page)
    assert before <= await percent(page, "여름학기.csv") < 100
    await expect(card(page, "여름학기.csv")).not_to_contain_text("Loading…")


async def test_failed_rows_are_listed_in_pages_with_line_and_reason(sign_in: SignIn) -> None:
    page = await sign_in("saebom", "staff")
    await is_live(page)
    await page.set_input_files("#file", workbook("실패", good=10))
    await ends(page, "실패.csv")
    await card(page, "실패.csv").get_by_role("button", name=f"실패한 행 {BAD}개 보기").press("Enter")
    rows = card(page, "실패.csv").locator("tbody tr")
    await expect(rows).to_have_count(50)
    assert await rows.nth(0).locator("td").all_text_contents() == ["2", "—", "이름이 없습니다."]
    assert await rows.nth(1).locator("td").all_text_contents() == ["3", "전화없음1", "학부모 전화번호가 없습니다."]
    more = card(page, "실패.csv").get_by_role("button", name="더 보기")
    await more.press("Enter")
    await expect(rows).to_have_count(BAD)
    await expect(more).to_be_hidden()
    await expect(rows.nth(50)).to_be_focused()


async def test_an_import_of_the_sample_is_still_shown_after_a_reload(sign_in: SignIn) -> None:
    page = await sign_in("saebom", "owner")
    await is_live(page)
    sample = page.get_by_role("button", name="샘플로 해 보기")
    await sample.press("Enter")
    await ends(page, "샘플 학생 2000명.xlsx")
    await expect(sample).to_be_focused()
    await page.reload()
    await ends(page, "샘플 학생 2000명.xlsx")


async def test_an_unreadable_workbook_shows_the_reason_in_both_languages(sign_in: SignIn) -> None:
    page = await sign_in("saebom", "owner")
    await is_live(page)
    await page.set_input_files("#file", {"name": "깨짐.xlsx", "mimeType": "", "buffer": b"PK\x03\x04 not really"})
    await ends(page, "깨짐.xlsx", "FAILED")
    await expect(card(page, "깨짐.xlsx")).to_contain_text("파일이 손상되어 읽을 수 없습니다.")
    await page.get_by_role("button", name="English").click()
    await expect(card(page, "깨짐.xlsx")).to_contain_text("The file is damaged.")
    await page.set_input_files("#file", {"name": "notes.txt", "mimeType": "", "buffer": b"-"})
    await expect(page.locator("#import-problem")).to_have_text("Only .xlsx, .xls and .csv files can be imported.")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.get_by_role("heading", level=1, name="Import students")).to_be_visible()


async def test_signing_in_and_out(sign_in: SignIn, system: System) -> None:
    page = await sign_in("hanbit", "owner")
    await expect(page.locator("#imports-title")).to_be_focused()
    second = await page.context.new_page()
    await second.goto(system.address)
    await is_live(second)
    await page.get_by_role("button", name="로그아웃").click()
    for tab in (page, second):
        await expect(tab.get_by_label("비밀번호", exact=True)).to_be_visible()
    await fill_in(page, "hanbit", "owner", "not-the-password")
    await expect(page.get_by_role("alert").filter(visible=True).first).to_have_text(
        "학원 코드, 사용자 이름 또는 비밀번호가 맞지 않습니다."
    )
    await expect(page.get_by_label("비밀번호", exact=True)).to_be_focused()


async def test_teachers_may_watch_and_students_see_that_the_page_is_for_staff(sign_in: SignIn) -> None:
    teacher = await sign_in("hanbit", "teacher")
    await is_live(teacher)
    await expect(teacher.get_by_role("button", name="샘플로 해 보기")).to_be_hidden()
    student = await sign_in("hanbit", "student")
    await expect(student.get_by_role("heading", name="다른 역할의 화면입니다")).to_be_focused()
    await expect(student.locator("#connection")).to_be_hidden()


async def test_the_page_has_no_inline_code_and_loads_nothing_from_other_hosts(browser: Browser, system: System) -> None:
    page = await (await new_context(browser)).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    answer = await page.goto(system.address)
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    await expect(page.get_by_role("heading", name="로그인")).to_be_visible()
    assert complaints == []
    await page.context.close()
