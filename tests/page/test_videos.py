"""The page's videos against a complete running system: uploaded, watched in two browsers, played, cancelled."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from embedded.plan import Worker
from harness.videos import sample
from tests.page.test_imports import SignIn, card, held, is_live, percent, sign_in

__all__ = ["sign_in"]  # imported as a fixture
SECONDS = 32

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lesson") / "수업.mp4"
    path.write_bytes(sample(path.parent, SECONDS))
    return path


async def open_videos(page: Page) -> None:
    await is_live(page)
    await page.get_by_role("link", name="동영상", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name="강의 동영상")).to_be_focused()
    await expect(page.locator("#lecture option").first).to_be_attached()  # a form without lectures is not sent


async def upload(page: Page, file: Path, title: str) -> None:
    await page.set_input_files("#video-file", file)
    await page.get_by_label("제목").fill(title)
    await page.get_by_role("button", name="올리기").click()


async def test_the_progress_of_a_video_is_shown_in_both_browsers_and_the_video_plays(
    sign_in: SignIn, worker: Worker, lesson: Path
) -> None:
    owner, teacher = await sign_in("hanbit", "owner"), await sign_in("hanbit", "teacher")
    stranger = await sign_in("saebom", "owner")
    for page in (owner, teacher, stranger):
        await open_videos(page)
    await upload(owner, lesson, "함수의 극한")
    bar = card(owner, "함수의 극한").get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuetext", re.compile("변환 중.*남음"))
    with held(worker):
        for page in (owner, teacher):
            bar = card(page, "함수의 극한").get_by_role("progressbar")
            await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
            await expect(bar).to_have_attribute("aria-valuetext", re.compile("변환 중.*남음"))
        before = await percent(teacher, "함수의 극한")
        await teacher.reload()
        await open_videos(teacher)
        assert await percent(teacher, "함수의 극한") >= before
    for page in (owner, teacher):
        await expect(card(page, "함수의 극한")).to_have_attribute("data-status", "READY")
    await expect(owner.locator("#spoken")).to_contain_text("함수의 극한: 재생할 수 있습니다.")
    await expect(card(stranger, "함수의 극한")).to_have_count(0)
    await plays(teacher, "함수의 극한")


async def plays(page: Page, title: str) -> None:
    await page.get_by_role("button", name=f"{title} 재생").click()
    dialog = page.get_by_role("dialog", name=title)
    await expect(dialog).to_be_visible()
    moves = (
        "video => new Promise(done => video.addEventListener('timeupdate', () => video.currentTime > 0.2 && done()))"
    )
    await dialog.locator("video").evaluate(moves)
    assert await dialog.locator("video").evaluate("video => Math.round(video.duration)") == SECONDS
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert await page.locator("dialog video").evaluate("video => video.paused")


async def test_a_running_video_can_be_cancelled_and_retried_from_its_card(
    sign_in: SignIn, worker: Worker, lesson: Path
) -> None:
    page = await sign_in("saebom", "teacher")
    await open_videos(page)
    await upload(page, lesson, "광합성")
    shown = card(page, "광합성")
    await expect(shown).to_have_attribute("data-status", "PROCESSING")
    with held(worker):
        await shown.get_by_role("button", name="취소").click()
        await expect(shown).to_have_attribute("data-status", "CANCELLED")
    await shown.get_by_role("button", name="다시 시도").click()
    await expect(shown).to_have_attribute("data-status", "READY")


async def test_a_video_is_deleted_by_keyboard_after_a_confirmation_and_disappears_everywhere(
    sign_in: SignIn, worker: Worker, tmp_path: Path
) -> None:
    owner, teacher = await sign_in("saebom", "owner"), await sign_in("saebom", "teacher")
    for page in (owner, teacher):
        await open_videos(page)
    notes = tmp_path / "지울 것.mp4"
    notes.write_text("수업 노트\n" * 50)
    await upload(owner, notes, "지울 것")
    for page in (owner, teacher):
        await expect(card(page, "지울 것")).to_have_attribute("data-status", "FAILED")
    button = owner.get_by_role("button", name="지울 것 삭제")
    question = owner.get_by_role("dialog", name="‘지울 것’ 동영상을 삭제할까요?")
    await button.press("Enter")
    await expect(question.get_by_role("button", name="그대로 두기")).to_be_focused()
    await owner.keyboard.press("Escape")
    await expect(question).to_be_hidden()
    await expect(button).to_be_focused()
    await button.press("Enter")
    await owner.keyboard.press("Tab")
    await expect(question.get_by_role("button", name="삭제")).to_be_focused()
    await owner.keyboard.press("Enter")
    for page in (owner, teacher):
        await expect(card(page, "지울 것")).to_have_count(0)
    await expect(owner.locator("#videos-title")).to_be_focused()
    await expect(teacher.locator("#spoken")).to_contain_text("지울 것: 삭제되었습니다.")
    await owner.reload()
    await open_videos(owner)
    await expect(owner.locator("#videos-list > li")).not_to_have_count(0)
    await expect(card(owner, "지울 것")).to_have_count(0)


async def test_a_file_that_is_no_video_shows_the_reason_in_both_languages(
    sign_in: SignIn, worker: Worker, tmp_path: Path
) -> None:
    page = await sign_in("saebom", "owner")
    await open_videos(page)
    notes = tmp_path / "노트.mp4"
    notes.write_text("수업 노트\n" * 50)
    await upload(page, notes, "수업 노트")
    shown = card(page, "수업 노트").filter(has_text="동영상 파일이 아닙니다.")
    await expect(shown.first).to_have_attribute("data-status", "FAILED")
    await expect(shown.first.get_by_role("button", name="다시 시도")).to_be_hidden()  # the file stays what it is
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#videos").get_by_text("This is no video.").first).to_be_visible()
    await expect(page.get_by_role("link", name="Videos", exact=True)).to_have_attribute("aria-current", "page")


async def test_the_demo_video_is_listed(sign_in: SignIn) -> None:
    page = await sign_in("hanbit", "staff")
    await open_videos(page)
    for title in ("1강 수업 영상", "1강 수업 노트"):
        await look_further_for(page, title)
    await expect(card(page, "1강 수업 영상")).to_have_attribute("data-status", "READY")
    await expect(card(page, "1강 수업 노트")).to_have_attribute("data-status", "FAILED")
    picture = card(page, "1강 수업 영상").locator("img")
    await picture.scroll_into_view_if_needed()  # loading="lazy": not fetched while far below
    await expect(picture).to_have_js_property("naturalWidth", 640)


async def look_further_for(page: Page, title: str) -> None:
    """Show more pages of the list until it contains the title. Newer videos of other tests may fill the first pages."""
    cards = page.locator("#videos-list > li")
    await expect(cards).not_to_have_count(0)
    while not await card(page, title).count():
        shown = await cards.count()
        await page.get_by_role("button", name="더 보기").click()
        await expect(cards).not_to_have_count(shown)


async def test_the_form_asks_for_a_file_if_none_is_chosen(sign_in: SignIn) -> None:
    page = await sign_in("hanbit", "owner")
    await open_videos(page)
    await page.get_by_label("제목").fill("제목만")
    await page.get_by_role("button", name="올리기").click()
    await expect(page.locator("#video-problem")).to_have_text("동영상 파일을 선택해 주십시오.")
    await page.set_input_files("#video-file", {"name": "수업.mp4", "mimeType": "video/mp4", "buffer": b"video"})
    await expect(page.locator("#video-problem")).to_be_empty()
