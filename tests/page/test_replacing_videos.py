"""A video is replaced from its card with the keyboard alone, on a phone and on a wide screen, in both languages."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from embedded.plan import Worker
from harness.browser import PATIENCE_MS, next_file_chooser
from harness.system import System
from harness.videos import sample, upload
from tests.page.console import Console, is_live
from tests.page.test_accessibility import axe, check
from tests.page.test_broken_uploads import begin_upload, reload

__all__ = ["axe"]  # imported as a fixture
SECONDS = 80

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sample(tmp_path_factory.mktemp("clip"), 2)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of 80 s. A worker needs about 20 s to encode it."""
    path = tmp_path_factory.mktemp("lesson") / "고친 수업.mp4"
    path.write_bytes(sample(path.parent, SECONDS))
    return path


async def ready(system: System, client: httpx.AsyncClient, clip: bytes, title: str) -> int:
    """Upload a video, and return its id when it is READY."""
    async with await system.watcher(client) as watcher:
        video_id: int = (await upload(client, clip, title=title)).json()["id"]
        assert (await watcher.until_terminal(f"video:{video_id}"))["status"] == "READY"
    return video_id


def card_of(page: Page, video_id: int) -> Locator:
    return page.locator("#videos-list > li").filter(has=page.locator(f'a[href="/videos/{video_id}"]'))


async def in_order(page: Page, *titles: str) -> None:
    """Wait until the list has these titles in this order. A new card moves when its place was read from the API."""
    shown: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while shown != list(titles):
                texts = await page.locator("#videos-list > li h3").all_text_contents()
                shown = [title for title in texts if title in titles]
    assert shown == list(titles)


WORDS = {
    "ko": (
        "교체",
        "동영상을 교체합니다",
        "새 동영상을 준비하고 있습니다",
        "준비되면 지금의",
        "새 동영상으로 교체되었습니다",
        "새 동영상 보기",
    ),
    "en": (
        "Replace",
        "Its title and its place stay",
        "A new video is being prepared",
        "It replaces the present",
        "replaced by the new video",
        "Show the new video",
    ),
}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("width", "colours", "language"), [(360, "dark", "en"), (1440, "light", "ko")], ids=["phone", "wide screen"]
)
async def test_a_video_is_replaced_by_keyboard_and_every_page_follows(
    console: Console, system: System, clip: bytes, lesson: Path, axe: str, width: int, colours: str, language: str
) -> None:
    deed, lead, running, replaces, ended, see = WORDS[language]
    title, newer = f"극한 {language}", f"나중 {language}"
    async with system.client() as client:
        old = await ready(system, client, clip, title)
        await ready(system, client, clip, newer)
    page = await console.open(
        "/videos", "teacher", viewport={"width": width, "height": 800}, color_scheme=colours, locale="ko-KR"
    )
    await is_live(page)
    if language == "en":
        await page.get_by_role("button", name="English").press("Enter")
    owner = await console.open("/videos")
    await is_live(owner)
    await card_of(page, old).get_by_role("button", name=re.compile(f"^({title} {deed}|{deed} {title})$")).press("Enter")
    await expect(page.locator("#video-file")).to_be_focused()
    await expect(page.locator("#video-replaces")).to_contain_text(lead)
    await expect(page.locator("#lecture")).to_be_hidden()
    await check(page, axe)
    chooser = await next_file_chooser(page)
    await page.keyboard.press("Enter")
    await (await asyncio.wait_for(chooser, PATIENCE_MS / 1000)).set_files(lesson)
    await page.keyboard.press("Tab")
    await expect(page.locator("#video-send")).to_be_focused()
    await page.keyboard.press("Enter")
    for one in (page, owner):
        await expect(card_of(one, old).get_by_role("progressbar")).to_have_attribute(
            "aria-valuenow", re.compile(r"^[1-9]\d?$")
        )
    await expect(card_of(page, old)).to_contain_text(running)
    await expect(card_of(page, old)).to_have_attribute("data-status", "READY")
    new_card = page.locator("#videos-list > li").filter(has_text=replaces)
    await expect(new_card).to_have_count(1)
    await check(page, axe)
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await expect(page.locator("#video-replaces")).to_be_hidden()
    new = int((await new_card.locator("h3 a").get_attribute("href") or "").removeprefix("/videos/"))
    for one in (page, owner):
        await expect(card_of(one, old)).to_have_count(0)
        await expect(card_of(one, new)).to_have_attribute("data-status", "READY")
        await in_order(one, newer, title)
    await expect(page.locator("#spoken")).to_contain_text(ended)
    await page.reload()
    await is_live(page)
    await expect(card_of(page, new)).to_be_visible()
    await in_order(page, newer, title)
    await page.goto(f"{console.address}/videos/{old}")
    link = page.get_by_role("link", name=see)
    await expect(link).to_be_visible()
    await check(page, axe)
    await link.press("Enter")
    await expect(page.locator("#job-title")).to_have_text(title)
    await expect(page).to_have_url(f"{console.address}/videos/{new}")


async def test_a_replacement_that_fails_leaves_the_old_video_and_deleting_asks_for_both(
    console: Console, system: System, worker: Worker, clip: bytes, lesson: Path
) -> None:
    title = "그대로 남을 수업"
    async with system.client() as client:
        old = await ready(system, client, clip, title)
    page = await console.open("/videos")
    await is_live(page)
    replace = page.get_by_role("button", name=f"{title} 교체", exact=True)
    await replace.click()
    await page.get_by_role("button", name="교체하지 않기").click()
    await expect(page.locator("#videos-title")).to_be_focused()
    await expect(page.locator("#lecture")).to_be_visible()
    await replace.click()
    notes: dict[str, object] = {"name": "노트.mp4", "mimeType": "video/mp4", "buffer": b"notes" * 100}
    await page.set_input_files("#video-file", notes)  # type: ignore[arg-type]
    await page.locator("#video-send").click()
    failed = page.locator("#videos-list > li[data-status=FAILED]").filter(has_text=f"‘{title}’")
    await expect(failed).to_have_count(1)
    await expect(card_of(page, old)).to_have_attribute("data-status", "READY")
    await expect(failed.get_by_role("button", name=re.compile("이름 바꾸기|교체"))).to_have_count(0)
    await replace.click()
    await page.set_input_files("#video-file", lesson)
    await page.locator("#video-send").click()
    await expect(card_of(page, old).get_by_role("progressbar")).to_be_visible()
    await expect(failed).to_have_count(0)  # it was deleted for the next one
    await page.get_by_role("button", name=f"{title} 삭제", exact=True).click()
    question = page.get_by_role("dialog", name=f"‘{title}’ 동영상과 교체할 새 동영상을 삭제할까요?")
    await question.get_by_role("button", name="모두 삭제").click()
    await expect(page.locator("#videos-list > li").filter(has_text=title)).to_have_count(0)


async def test_a_replacement_that_a_reload_has_broken_off_can_be_continued(
    console: Console, system: System, worker: Worker, clip: bytes, lesson: Path
) -> None:
    title = "다시 올릴 수업"
    async with system.client() as client:
        old = await ready(system, client, clip, title)
    page = await console.open("/videos")
    await is_live(page)
    await page.get_by_role("button", name=f"{title} 교체", exact=True).click()
    await begin_upload(page, lesson, send="교체하기")
    await expect(card_of(page, old)).to_contain_text("새 동영상을 올리고 있습니다")
    await reload(page)
    await expect(page.locator("#video-broken")).to_contain_text(f"‘{title}’ 올리기가 끝나기 전에")
    await page.set_input_files("#video-again", lesson)
    await expect(card_of(page, old)).to_contain_text("새 동영상을 준비하고 있습니다")
    await expect(card_of(page, old)).to_have_attribute("data-status", "READY")
