"""The pages with the figures: an owner sees those of one academy; an operator sees all of them, and dead letters."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocket, expect

from academy.adapters.excel.sample import sample_workbook
from embedded import npm
from embedded.plan import Web
from harness.browser import new_context
from harness.letters import put_letter
from harness.operators import OPERATOR, OPERATOR_PASSWORD, running_admin
from harness.slow_imports import slow_imports
from harness.system import System, eventually, import_workbook, tenant_of
from harness.watcher import Watcher
from tests.page.console import Console, is_live, shows
from tests.page.test_accessibility import check
from tests.page.test_imports import worker_held

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

PATH = "/admin/operations/"


@asynccontextmanager
async def opened_by_operator(browser: Browser, admin: Web) -> AsyncIterator[Page]:
    """Open the operators' page of the whole system, in English."""
    context = await new_context(browser, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(admin.address + PATH)
    await page.locator("#id_username").fill(OPERATOR)
    await page.locator("#id_password").fill(OPERATOR_PASSWORD)
    await page.locator("#id_password").press("Enter")
    await page.get_by_role("button", name="English").click()
    await is_live(page)
    yield page
    await context.close()


@pytest.fixture(scope="module")
def admin(system: System) -> Iterator[Web]:
    with running_admin(system) as web:
        yield web


@pytest.fixture(scope="module")
def axe() -> str:
    return Path(npm.packages() / "axe-core" / "axe.min.js").read_text()


@pytest_asyncio.fixture(loop_scope="module")
async def operator(browser: Browser, admin: Web) -> AsyncIterator[Page]:
    async with opened_by_operator(browser, admin) as page:
        yield page


def tile(page: Page, name: str) -> str:
    return f"#operations .tile:has(dt:text-is('{name}'))"


async def value(page: Page, name: str) -> str:
    return await page.locator(f"{tile(page, name)} .value").inner_text()


async def test_an_owner_sees_the_figures_of_the_academy_and_nothing_polls(console: Console, system: System) -> None:
    page = await console.open("/operations", academy=system.add_academy())
    await shows(page, "operations")
    await is_live(page)
    await expect(page.locator(f"{tile(page, '접속')} .value")).to_have_text(re.compile(r"^[1-9]"))
    await expect(page.get_by_role("table", name="대기열").get_by_role("row")).to_have_count(4)
    chart = page.get_by_role("img", name=re.compile("^접속: 지금"))
    await expect(chart).to_be_visible()
    await page.wait_for_load_state("networkidle")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    before = await page.get_by_text(re.compile("에 측정$")).inner_text()
    await expect(page.get_by_text(re.compile("에 측정$"))).not_to_have_text(before)
    assert requests == []
    await expect(page.get_by_role("table", name="학원")).to_have_count(0)
    await expect(page.get_by_text("Redis")).to_have_count(0)
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("table", name="Queues")).to_be_visible()


async def test_the_own_connection_of_the_page_ends_when_it_is_left(console: Console) -> None:
    page = await console.open("/operations")
    chart = page.get_by_role("img", name=re.compile("^접속"))
    await expect(chart).to_be_visible()
    await is_live(page)  # both connections of this page are open
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright cannot wrap a bound method
    await page.reload()
    await expect(chart).to_be_visible()
    await is_live(page)
    assert len(sockets) == 2
    await page.get_by_role("link", name="작업 현황", exact=True).click()
    await shows(page, "now")
    await eventually(lambda: [socket.is_closed() for socket in sockets].count(True) == 1, what="the end of one")


@pytest.mark.parametrize("role", ["staff", "teacher", "student"])
async def test_other_roles_are_not_offered_the_page_and_cannot_open_it(console: Console, role: str) -> None:
    page = await console.open("/operations", role)
    await expect(page.locator("#refused-title")).to_be_visible()
    await expect(page.get_by_role("link", name="운영", exact=True)).to_have_count(0)


async def test_two_web_processes_are_added_up(operator: Page, system: System, admin: Web) -> None:
    everything = system.ticket_of(tenant_of(system, "hanbit"))
    addresses = [address.replace("http", "ws", 1) + "/ws/events/" for address in (system.address, admin.address)]
    clients = [await Watcher.connect(address, everything) for address in addresses * 3]
    row = operator.get_by_role("table", name="Academies").get_by_role("row").filter(has_text="hanbit")
    await expect(row).to_contain_text(re.compile(r"hanbit\s*([6-9]|\d\d) \("))
    processes = operator.get_by_role("table", name="Processes")
    await expect(processes.get_by_role("row").filter(has_text="connections")).to_have_count(2)
    await expect(processes.get_by_role("row").filter(has_text="Worker · Imports and exports")).to_have_count(1)
    polling = operator.locator(f"{tile(operator, 'Database statements a second')} .meta")
    await expect(polling).to_have_text(re.compile(r"Polling would cost ([6-9]|\d\d)"))
    await expect(operator.locator(f"{tile(operator, 'Redis memory')} .value")).to_contain_text("MB")
    for client in clients:
        await client.socket.close()


async def test_a_stalled_job_is_shown_with_its_academy_and_said_aloud(browser: Browser, own_system: System) -> None:
    with running_admin(own_system) as web:
        async with opened_by_operator(browser, web) as operator, own_system.client() as client:
            with slow_imports(own_system):
                job_id = await import_workbook(client, sample_workbook(2000, seed=82))
                async with await own_system.watcher(client) as watcher:
                    await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 0, "the beginning of the import")
                own_system.worker.kill()
            said = operator.locator("#operations [role=status]")
            stalled = operator.get_by_role("table", name="Stalled jobs").get_by_role("row").filter(has_text=job_id)
            await expect(stalled).to_contain_text("hanbit")
            await expect(said).to_have_text("1 stalled jobs")
            await expect(operator.locator(f"{tile(operator, 'Jobs')}")).to_have_attribute("data-tone", "bad")
            own_system.worker.start()
            await client.post(f"/api/v1/jobs/{job_id}/cancel/")
            await expect(stalled).to_have_count(0)
            await expect(said).to_have_text("No stalled jobs")


async def test_dead_letters_are_looked_at_sent_back_and_deleted_by_keyboard(operator: Page, system: System) -> None:
    with worker_held(system):
        async with system.client() as client:
            job_id = (await client.post("/api/v1/students/export/", json={})).json()["job_id"]
        system.query("UPDATE aijob SET status = 'FAILED', finished_at = now() WHERE job_id = %s RETURNING 1", job_id)
    names = {"job_id": job_id, "job_type": "student_export", "tenant_code": "hanbit"}
    body = {**names, "tenant_id": tenant_of(system, "hanbit")}
    put_letter(system, "ai", body, reason="It could not be done, although it was tried several times.")
    put_letter(system, "video", "no JSON 1", reason="It is malformed.")
    queues = operator.get_by_role("table", name="Queues")
    await expect(queues.get_by_role("row").filter(has_text="Videos")).to_have_attribute("data-tone", "warn")
    look = operator.get_by_role("button", name="Look at dead letters")
    await look.press("Enter")
    letters = operator.locator("#letters li")
    # Other tests may have left letters, too.
    ours, malformed = letters.filter(has_text=job_id), letters.filter(has_text="no JSON 1")
    await expect(ours).to_contain_text("although it was tried several times")
    await expect(malformed).to_have_count(1)

    await operator.get_by_role("button", name=f"Send hanbit · job {job_id} back").press("Enter")
    await expect(operator.locator("#letters [role=status]")).to_have_text(re.compile("sent back"))
    await expect(operator.locator("#letters-title")).to_be_focused()
    await expect(ours).to_have_count(0)
    state = "SELECT status FROM aijob WHERE job_id = %s"
    await eventually(lambda: system.query(state, job_id) == [("DONE",)], what="the end of the job that was sent back")

    remove = operator.get_by_role("button", name="Delete no academy · no JSON 1")
    await remove.press("Enter")
    await operator.keyboard.press("Escape")
    await expect(malformed).to_have_count(1)
    await remove.press("Enter")
    await expect(operator.get_by_role("button", name="Keep it")).to_be_focused()
    await operator.keyboard.press("Tab")
    await operator.keyboard.press("Enter")
    await expect(malformed).to_have_count(0)


async def test_the_page_breaks_no_rule_of_accessibility(operator: Page, system: System, axe: str) -> None:
    put_letter(system, "video", "still no JSON", reason="It is malformed.")
    await operator.get_by_role("table", name="Queues").wait_for()
    await operator.get_by_role("button", name="Look at dead letters").click()
    letter = operator.locator("#letters li").filter(has_text="still no JSON")
    await expect(letter).to_have_count(1)
    for width, colours in ((1440, "light"), (360, "dark")):
        await operator.set_viewport_size({"width": width, "height": 800})
        # Turn animations off: axe must not check a button while its colour still changes.
        await operator.emulate_media(color_scheme=colours, reduced_motion="reduce")  # type: ignore[arg-type]
        await check(operator, axe)
        assert await operator.evaluate("document.documentElement.scrollWidth") <= width
    await operator.get_by_role("button", name="Delete no academy · still no JSON").click()
    await operator.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(letter).to_have_count(0)


async def test_academies_have_names_and_an_idle_worker_does_not_count_as_working(
    operator: Page, system: System
) -> None:
    academies = operator.get_by_role("table", name="Academies")
    for academy in ("hanbit", "saebom"):  # also the one in which nobody is signed in
        ((name,),) = system.query("SELECT name FROM tenant WHERE code = %s", academy)
        await expect(academies.get_by_role("row").filter(has_text=f"{name} · {academy}")).to_have_count(1)
    videos = operator.get_by_role("table", name="Queues").get_by_role("row").filter(has_text="Videos")
    await expect(videos.get_by_role("cell").nth(6)).to_have_text(re.compile(r"^0 / \d+$"))


async def test_from_the_page_one_gets_to_the_admin_and_the_console_and_signs_out(operator: Page, admin: Web) -> None:
    hrefs = [await link.get_attribute("href") for link in await operator.locator("main .up a").all()]
    assert hrefs == ["/admin/", "/"]
    await operator.get_by_role("link", name="Academies and accounts").click()
    await expect(operator).to_have_url(f"{admin.address}/admin/")
    await operator.go_back()
    await operator.get_by_role("button", name="Sign out").press("Enter")
    await expect(operator).to_have_url(f"{admin.address}/admin/logout/")
    await operator.goto(admin.address + PATH)
    await expect(operator).to_have_url(re.compile("/admin/login/"))


async def test_a_page_whose_operator_has_signed_out_says_so(operator: Page) -> None:
    token = await operator.locator("#sign-out input").get_attribute("value")
    await operator.evaluate(
        "token => fetch('/admin/logout/', { method: 'POST', headers: { 'X-CSRFToken': token } })", token
    )
    await expect(operator.get_by_role("link", name="You are signed out. Sign in again.")).to_be_visible()
