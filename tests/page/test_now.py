"""The view "now": one list of all jobs of every kind, with filters, cancel, retry, and news of ended jobs."""

import re

import pytest
from playwright.async_api import expect

from academy.adapters.excel.sample import sample_workbook
from harness.slow_imports import slow_imports
from harness.system import System, import_workbook, tenant_of
from realtime.publish import Publisher
from tests.page.console import Console, is_live, job
from tests.page.test_imports import worker_held

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}"""


RECORD_SPOKEN = """() => {
  const node = document.getElementById("spoken");
  window.said = [];
  new MutationObserver(() => said.push(node.textContent)).observe(node, { childList: true });
}"""
FAKE_NOTIFICATIONS = """() => {
  window.shown = [];
  window.Notification = class {
    static permission = "granted";
    constructor(text) { shown.push(text); }
  };
}"""


async def test_an_import_is_listed_with_who_started_it_its_progress_and_its_result(
    console: Console, system: System
) -> None:
    page = await console.open("/", "teacher")
    await is_live(page)
    async with system.client(username="staff") as client:
        shown = job(page, "봄학기.xlsx")
        bar = shown.get_by_role("progressbar")
        with slow_imports(system):
            await import_workbook(client, sample_workbook(3000, seed=41), name="봄학기.xlsx")
            await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
        await expect(shown).to_contain_text("학생 명단 가져오기")
        await expect(shown).to_have_attribute("data-status", "DONE")
    await expect(shown).to_contain_text("새로 등록")
    await expect(shown.locator(".about")).to_have_text(re.compile("학생 명단 가져오기 · .+ 시작"))
    await expect(page.locator("#spoken")).to_contain_text("봄학기.xlsx: 완료했습니다.")


async def test_of_very_many_ended_jobs_the_page_keeps_the_newest_thousand(console: Console, system: System) -> None:
    system.shell(
        "from apps.core.models import *; from academy.domain.roles import Role\n"
        "from academy.adapters.db.django.repositories_core import create_account\n"
        "owner = User.objects.get(username='owner', tenant__code='saebom')\n"
        "create_account(Tenant.objects.create(code='busy', name='Busy'), 'owner', '', Role.OWNER, owner.password)"
    )
    page = await console.open("/", academy="busy")
    await is_live(page)
    for number in range(3):
        console.publish(f"early:{number}", "DONE", academy="busy")
    await expect(page.locator("#now-counts")).to_contain_text("끝남 3")
    topics = [f"late:{number}" for number in range(1000)]
    tenant_id = tenant_of(system, "busy")
    with Publisher.from_url(system.redis.url) as publisher:
        for topic in topics:
            publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")
    await expect(page.locator("#now-counts")).to_contain_text("끝남 1,000")
    await page.locator("#now-text").fill("early:")
    await expect(page.locator("#now-no-match")).to_be_visible()
    await page.locator("#now-text").fill(topics[0])
    await expect(job(page, topics[0])).to_be_visible()


async def test_a_kind_that_nobody_wrote_a_card_for_is_listed_from_its_record(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    console.publish("backup:night", "PENDING")
    shown = job(page, "backup:night")
    await expect(shown.locator(".chip")).to_have_text("대기 중")
    console.publish("backup:night", "PROCESSING", data={"title": "밤 백업"})
    await expect(job(page, "밤 백업").locator(".chip")).to_have_text("진행 중")
    await expect(job(page, "밤 백업")).to_contain_text("backup")
    console.publish("backup:night", "DONE", data={"result": {"files": 12}})
    await expect(job(page, "밤 백업")).to_contain_text("files 12")
    await expect(page.get_by_role("option", name="backup")).to_have_count(1)


async def test_running_jobs_come_before_those_that_have_ended(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    for name in ("first", "second"):
        console.publish(f"order:{name}", "PROCESSING", data={"title": f"순서 {name}"})
    console.publish("order:second", "DONE", data={"title": "순서 second"})  # the page may get this record alone
    await expect(job(page, "순서 second")).to_have_attribute("data-status", "DONE")
    names = await page.locator("#now-list h3").all_text_contents()
    assert names.index("순서 first") < names.index("순서 second")
    console.publish("order:first", "CANCELLED")


async def test_filters_are_kept_in_the_address_and_survive_a_reload(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    console.publish("lunch:a", "PROCESSING", data={"title": "점심 명단"})
    console.publish("lunch:b", "DONE", data={"title": "점심 결산"})
    await page.get_by_label("이름으로 찾기").fill("점심")
    await expect(page.locator("#now-list > li")).to_have_count(2)
    await page.get_by_label("상태").select_option("running")
    await page.get_by_label("종류").select_option("lunch")
    await expect(page.locator("#now-list > li")).to_have_count(1)
    await page.reload()
    await expect(page.locator("#now-list > li")).to_have_count(1)
    await expect(page.get_by_label("종류")).to_have_value("lunch")
    await expect(job(page, "점심 명단")).to_be_visible()
    await job(page, "점심 명단").get_by_role("link").click()
    await page.go_back()
    await expect(page.get_by_label("이름으로 찾기")).to_have_value("점심")
    await expect(page.locator("#now-list > li")).to_have_count(1)
    await page.get_by_label("이름으로 찾기").fill("아무것도 아님")
    await expect(page.get_by_text("조건에 맞는 작업이 없습니다.")).to_be_visible()
    console.publish("lunch:a", "DONE")


async def test_a_running_import_is_cancelled_and_retried_by_keyboard_and_a_teacher_may_do_neither(
    console: Console, system: System
) -> None:
    owner, teacher = await console.open(), await console.open("/", "teacher")
    for page in (owner, teacher):
        await is_live(page)
    with slow_imports(system):
        async with system.client() as client:
            await import_workbook(client, sample_workbook(2000, seed=42), name="여름학기.xlsx")
        await expect(job(teacher, "여름학기.xlsx")).to_have_attribute("data-status", "PROCESSING")
        with worker_held(system):
            await expect(job(teacher, "여름학기.xlsx").get_by_role("button")).to_have_count(0)
            await owner.get_by_role("button", name="여름학기.xlsx 취소").press("Enter")
            await expect(job(owner, "여름학기.xlsx")).to_have_attribute("data-status", "CANCELLED")
            # The button is gone. The focus stays in the job's card, so that a screen reader goes on there.
            await expect(job(owner, "여름학기.xlsx").locator(":focus")).to_have_count(1)
            retry = owner.get_by_role("button", name="여름학기.xlsx 다시 시도")
            await retry.press("Enter")
    await expect(job(owner, "여름학기.xlsx")).to_have_attribute("data-status", "DONE")
    await expect(job(teacher, "여름학기.xlsx")).to_have_attribute("data-status", "DONE")


async def test_a_retry_is_not_offered_where_it_cannot_help(console: Console, system: System) -> None:
    page = await console.open()
    await is_live(page)
    async with system.client() as client:
        await import_workbook(client, b"PK\x03\x04 not really", name="깨짐.xlsx")
    await expect(job(page, "깨짐.xlsx")).to_have_attribute("data-status", "FAILED")
    await expect(job(page, "깨짐.xlsx")).to_contain_text("파일이 손상되어")
    await expect(job(page, "깨짐.xlsx").locator(".about")).to_contain_text("시작")
    await expect(job(page, "깨짐.xlsx").get_by_role("button")).to_have_count(0)


async def test_many_ends_at_once_are_one_sentence_for_a_screen_reader(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    await page.evaluate(RECORD_SPOKEN)
    crowd = [{"topic": f"crowd:{number}", "data": {"title": f"무리 {number}"}} for number in range(12)]
    console.publish_at_once([{**one, "status": "PROCESSING"} for one in crowd])
    await page.wait_for_function("() => said.length > 0")
    before = await page.evaluate("said.length")
    console.publish_at_once([{**one, "status": "DONE"} for one in crowd])
    await expect(job(page, "무리 11")).to_have_attribute("data-status", "DONE")
    await page.wait_for_function("(before) => said.length > before", arg=before)
    console.publish("crowd:last", "PROCESSING", data={"title": "마지막"})
    await page.wait_for_function("() => said.join().includes('마지막') || said.length > 4")
    said = await page.evaluate("said")
    assert len(said) <= 4
    assert any(re.fullmatch(r"작업 소식이 \d+건 있습니다\.", sentence) for sentence in said[before:]), said


async def test_a_long_job_that_ends_in_a_hidden_tab_is_told_by_the_title_and_a_notification(
    console: Console, system: System
) -> None:
    page = await console.open()
    await is_live(page)
    async with system.client() as client:
        quick = "quick:1"
        with worker_held(system):
            job_id = await import_workbook(client, sample_workbook(4000, seed=43), name="긴 명단.xlsx")
            await expect(job(page, "긴 명단.xlsx")).to_be_visible()
            system.query(
                "UPDATE aijob SET created_at = now() - interval '1 hour' WHERE job_id = %s RETURNING 1", job_id
            )
            await page.reload()
            await is_live(page)
            await page.evaluate(FAKE_NOTIFICATIONS)
            await expect(job(page, "긴 명단.xlsx").locator(".about")).to_contain_text("시작")
            await page.evaluate(HIDE, True)
            console.publish(quick, "PROCESSING", data={"title": "짧은 일"})
            console.publish(quick, "DONE", data={"title": "짧은 일"})  # the page may get this record alone
            await expect(job(page, "짧은 일")).to_have_attribute("data-status", "DONE")
        await expect(job(page, "긴 명단.xlsx")).to_have_attribute("data-status", "DONE")
    await expect(page).to_have_title("(1) 진행 중인 작업과 최근 결과 · 학원 작업 현황")
    shown = await page.evaluate("shown")
    assert len(shown) == 1
    assert shown[0].startswith("긴 명단.xlsx: 완료했습니다.")
    await page.evaluate(HIDE, False)
    await expect(page).to_have_title("진행 중인 작업과 최근 결과 · 학원 작업 현황")


async def test_the_permission_for_notifications_is_asked_for_once_and_only_by_a_button(console: Console) -> None:
    page = await console.open()
    await is_live(page)
    await page.add_init_script(
        """window.asked = 0;
        window.Notification = class {
          static permission = "default";
          static async requestPermission() { window.asked += 1; }
        };"""
    )
    await page.reload()
    await is_live(page)
    assert await page.evaluate("asked") == 0
    button = page.get_by_role("button", name="오래 걸린 작업이 끝나면 알림 받기")
    await button.press("Enter")
    await expect(button).to_be_hidden()
    assert await page.evaluate("asked") == 1
    await page.reload()
    await is_live(page)
    await expect(button).to_be_hidden()
