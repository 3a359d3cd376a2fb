"""A reload interrupts an upload: the page warns first, and offers to continue afterwards. Also: videos are renamed."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Dialog, FilePayload, Page, Route, expect

from harness.system import System
from harness.videos import sample, upload
from tests.page.console import Console, is_live, shows
from tests.page.test_lectures import make_lecture

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lesson") / "긴 수업.mp4"
    path.write_bytes(sample(path.parent, 2))
    return path


async def begin_upload(page: Page, file: Path, title: str = "", send: str = "올리기") -> None:
    """Begin an upload whose answer never comes. Without a title, the file replaces a video."""
    begun = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            begun.set()
        else:
            await route.continue_()

    await page.route("**/media/videos/", hold)
    await expect(page.locator("#lecture option").first).to_be_attached()  # a form without lectures is not sent
    await page.set_input_files("#video-file", file)
    if title:
        await page.locator("#video-title").fill(title)
    await page.get_by_role("button", name=send, exact=True).click()
    await asyncio.wait_for(begun.wait(), 60)


async def reload(page: Page) -> list[str]:
    """Reload the page, accept every dialog that this opens, and return the types of the dialogs."""
    asked: list[str] = []

    async def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

    page.on("dialog", accept)
    await page.reload()
    page.remove_listener("dialog", accept)
    await page.unroute_all(behavior="ignoreErrors")
    await is_live(page)
    return asked


async def test_the_page_warns_before_a_reload_and_offers_to_upload_the_same_file_again(
    console: Console, lesson: Path
) -> None:
    page = await console.open("/videos")
    await is_live(page)
    await begin_upload(page, lesson, "끊긴 수업")
    assert await reload(page) == ["beforeunload"]
    notice = page.locator("#video-broken")
    await expect(notice).to_contain_text("‘끊긴 수업’ 올리기가 끝나기 전에")
    await expect(notice).to_contain_text("긴 수업.mp4")
    other: FilePayload = {"name": "다른 수업.mp4", "mimeType": "video/mp4", "buffer": b"other"}
    await page.set_input_files("#video-again", other)
    await expect(page.locator("#video-problem")).to_have_text(
        "올리던 파일이 아닙니다. ‘긴 수업.mp4’ 파일을 선택해 주십시오."
    )
    await page.set_input_files("#video-again", lesson)
    await expect(notice).to_be_hidden()
    await expect(page.locator("#videos-list")).to_contain_text("끊긴 수업")
    await expect(page.locator("#video-title")).to_be_enabled()
    assert await reload(page) == []  # nothing is uploaded any more
    await expect(page.locator("#videos-list")).to_contain_text("끊긴 수업")
    await expect(notice).to_be_hidden()


async def test_an_upload_that_has_arrived_although_its_answer_was_lost_is_not_offered_again(
    console: Console, system: System, lesson: Path
) -> None:
    page = await console.open("/videos")
    await is_live(page)
    await begin_upload(page, lesson, "도착한 수업")
    async with system.client() as client:
        lecture = await page.locator("#lecture").input_value()
        answer = await upload(
            client, await asyncio.to_thread(lesson.read_bytes), lesson.name, title="도착한 수업", lecture=lecture
        )
        assert answer.status_code == 202
    await reload(page)
    await expect(page.locator("#videos-list")).to_contain_text("도착한 수업")
    await page.wait_for_load_state("networkidle")
    await expect(page.locator("#video-broken")).to_be_hidden()


async def test_a_broken_upload_can_be_given_up(console: Console, lesson: Path) -> None:
    page = await console.open("/videos")
    await is_live(page)
    await begin_upload(page, lesson, "그만둔 수업")
    await reload(page)
    await page.get_by_role("button", name="올리지 않기").click()
    await expect(page.locator("#video-broken")).to_be_hidden()
    await shows(page, "videos")
    await reload(page)
    await page.wait_for_load_state("networkidle")
    await expect(page.locator("#video-broken")).to_be_hidden()


READY = """
    WITH lesson AS (
        INSERT INTO lecture_session (tenant_id, lecture_id, title, "order")
        SELECT tenant_id, id, '1강', 1 FROM lecture WHERE id = %s RETURNING id, tenant_id
    )
    INSERT INTO video
        (tenant_id, session_id, title, status, attempt, hls_path, duration, file_name, source, created_at, updated_at,
         uploaded_at, finished_at)
    SELECT tenant_id, id, '옛 이름', 'READY', 1, 'videos/1/1/1/master.m3u8', 8, '', '', now(), now(), now(), now()
    FROM lesson RETURNING id
"""


async def test_a_teacher_renames_a_video_and_other_pages_show_its_new_title(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "이름 바꿀 강의")
    ((video_id,),) = system.query(READY, lecture_id)
    teacher, owner = await console.open("/videos", "teacher"), await console.open(f"/videos/{video_id}")
    for page in (teacher, owner):
        await is_live(page)
    await expect(owner.locator("#job-title")).to_have_text("옛 이름")
    await teacher.get_by_role("button", name="옛 이름 이름 바꾸기").click()
    form = teacher.get_by_role("dialog", name="동영상 이름 바꾸기")
    await form.get_by_label("제목").fill("새 이름")
    await form.get_by_role("button", name="저장").click()
    await expect(teacher.get_by_role("button", name="새 이름 이름 바꾸기")).to_be_focused()
    await expect(owner.locator("#job-title")).to_have_text("새 이름")
    await expect(owner.locator("#job-facts")).not_to_contain_text("시도")
    await expect(owner.locator("#job-line")).not_to_contain_text("시도")
