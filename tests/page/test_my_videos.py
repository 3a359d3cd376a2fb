"""The view of students and parents: their lectures, and videos to play. New videos appear without a reload."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from embedded.plan import Worker
from harness.system import System
from harness.videos import sample, upload
from tests.page.console import Console, is_live, shows
from tests.page.test_imports import held
from tests.page.test_lectures import refusals

LECTURE = "중등 수학 A"
DEMO_VIDEO = "1강 수업 영상"
MOVES = "video => new Promise(done => video.addEventListener('timeupdate', () => video.currentTime > 0.1 && done()))"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sample(tmp_path_factory.mktemp("clip"), 4)


def lecture(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def film(page: Page, title: str) -> Locator:
    return page.get_by_role("button", name=f"{title} 재생")


async def lecture_id_of(client: httpx.AsyncClient, title: str) -> int:
    (found,) = (await client.get("/api/v1/lectures/", params={"search": title})).json()["results"]
    return int(found["id"])


@pytest.mark.parametrize("username", ["student", "parent"])
async def test_the_first_page_of_students_and_parents_shows_their_lectures_and_plays_a_video(
    console: Console, username: str
) -> None:
    page = await console.open("/", username)
    refused = refusals(page)
    await shows(page, "my")
    await expect(page).to_have_url(re.compile("/my$"))
    await expect(page).to_have_title("내 강의와 동영상 · 학원 작업 현황")
    await is_live(page)
    assert await page.locator("#views a:visible").all_inner_texts() == ["내 강의"]
    await expect(lecture(page, LECTURE)).to_contain_text(DEMO_VIDEO)
    await expect(lecture(page, LECTURE).get_by_text("최학생 수강")).to_have_count(int(username == "parent"))
    await expect(page.get_by_text("1강 수업 노트")).to_have_count(0)  # it is not READY
    await film(page, DEMO_VIDEO).press("Enter")
    dialog = page.get_by_role("dialog", name=DEMO_VIDEO)
    await dialog.locator("video").evaluate(MOVES)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(film(page, DEMO_VIDEO)).to_be_focused()
    assert refused == []


async def test_a_new_video_appears_when_it_is_ready_is_renamed_and_goes_when_it_is_deleted(
    console: Console, system: System, worker: Worker, clip: bytes
) -> None:
    student, parent = await console.open("/", "student"), await console.open("/my", "parent")
    for page in (student, parent):
        await is_live(page)
        await expect(film(page, DEMO_VIDEO)).to_be_visible()
    await student.wait_for_load_state("networkidle")
    asked: list[str] = []
    student.on("request", lambda request: asked.append(request.url))
    async with system.client() as client, await system.watcher(client) as watcher:
        lecture_id = await lecture_id_of(client, LECTURE)
        answer = await upload(client, clip, title="방금 올린 수업", lecture=str(lecture_id))
        video_id = answer.json()["id"]
        await watcher.until(lambda: watcher.records.get(f"video:{video_id}", {}).get("status") == "PROCESSING")
        with held(worker):
            await expect(film(student, "방금 올린 수업")).to_have_count(0)
            assert asked == []  # nothing is polled
        for page in (student, parent):
            await expect(film(page, "방금 올린 수업")).to_be_visible()
            await expect(page.locator("#my [role=status]")).to_have_text(
                f"{LECTURE}: 새 동영상 ‘방금 올린 수업’을 볼 수 있습니다."
            )
        await expect(film(student, "방금 올린 수업")).to_contain_text("새 동영상")
        await client.patch(f"/media/videos/{video_id}/", json={"title": "이름을 바꾼 수업"})
        for page in (student, parent):
            await expect(film(page, "이름을 바꾼 수업")).to_be_visible()
        await client.delete(f"/media/videos/{video_id}/")
        for page in (student, parent):
            await expect(film(page, "이름을 바꾼 수업")).to_have_count(0)
            await expect(film(page, DEMO_VIDEO)).to_be_visible()


async def test_a_lecture_that_ends_for_a_student_goes_from_the_page(console: Console, system: System) -> None:
    async with system.client(username="student") as client:
        (me,) = (await client.get("/api/v1/students/")).json()["results"]
    async with system.client() as client:
        lecture_id = (await client.post("/api/v1/lectures/", json={"title": "곧 끝날 강의"})).json()["id"]
        sent = {"lecture": lecture_id, "student": me["id"]}
        enrolment = (await client.post("/api/v1/enrolments/", json=sent)).json()
        page = await console.open("/my", "student")
        await is_live(page)
        await expect(lecture(page, "곧 끝날 강의")).to_contain_text("아직 동영상이 없습니다.")
        await client.delete(f"/api/v1/enrolments/{enrolment['id']}/")
    await expect(lecture(page, "곧 끝날 강의")).to_have_count(0)
    await is_live(page)
    await expect(film(page, DEMO_VIDEO)).to_be_visible()
    system.forget_tokens()


async def test_the_player_says_so_if_it_cannot_play_a_video(console: Console) -> None:
    page = await console.open("/my", "student")
    await is_live(page)
    await page.route("**/media/hls/**", lambda route: route.abort())
    await film(page, DEMO_VIDEO).press("Enter")
    problem = page.get_by_role("dialog", name=DEMO_VIDEO).get_by_role("alert")
    await expect(problem).to_contain_text("동영상을 재생할 수 없습니다.")
    await page.keyboard.press("Escape")
    await page.unroute("**/media/hls/**")
    await film(page, DEMO_VIDEO).press("Enter")
    await page.get_by_role("dialog", name=DEMO_VIDEO).locator("video").evaluate(MOVES)
    await expect(problem).to_have_text("")


MANY_LECTURES = """
    WITH attending AS (
        SELECT s.id, s.tenant_id FROM students s JOIN "user" u ON u.id = s.user_id JOIN tenant t ON t.id = s.tenant_id
        WHERE t.code = 'saebom' AND u.username = 'student'
    ), many AS (
        INSERT INTO lecture (tenant_id, title, description, active, created_at)
        SELECT tenant_id, '묶음 ' || n, '', true, now() FROM attending, generate_series(100, 140) n
        RETURNING id, tenant_id
    )
    INSERT INTO enrollment (tenant_id, lecture_id, student_id, created_at)
    SELECT many.tenant_id, many.id, attending.id, now() FROM many, attending RETURNING lecture_id
"""
"""Makes 41 lectures that the student of an academy attends."""


@pytest.fixture
def many_lectures(system: System) -> Iterator[None]:
    made = [lecture_id for (lecture_id,) in system.query(MANY_LECTURES)]
    yield
    system.query("DELETE FROM enrollment WHERE lecture_id = ANY(%s) RETURNING 1", made)
    system.query("DELETE FROM lecture WHERE id = ANY(%s) RETURNING 1", made)
    system.forget_tokens()


async def test_more_lectures_than_a_page_holds_are_shown_page_by_page(console: Console, many_lectures: None) -> None:
    page = await console.open("/my", "student", "saebom")
    await is_live(page)
    shown = page.locator("#my .my-lecture")
    await expect(shown).to_have_count(40)
    more = page.get_by_role("button", name="강의 더 보기")
    await more.press("Enter")
    await expect(shown).to_have_count(43)  # with two of the demo data
    await expect(more).to_be_hidden()
    await expect(shown.nth(40).get_by_role("heading")).to_be_focused()
    await expect(lecture(page, LECTURE)).to_contain_text(DEMO_VIDEO)
    await expect(page.get_by_text("앞의 40개만 실시간으로 바뀝니다.")).to_be_visible()


async def test_the_view_of_a_student_follows_the_language(console: Console) -> None:
    page = await console.open("/my", "student")
    await is_live(page)
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("My lectures and videos")
    await expect(page.get_by_role("button", name=f"Play {DEMO_VIDEO}")).to_be_visible()
    await expect(page).to_have_title("My lectures and videos · Academy work")


async def test_other_addresses_stay_closed_to_students(console: Console) -> None:
    page = await console.open("/my", "student")
    await is_live(page)
    for path in ("/videos", "/students/import", "/lectures"):
        await page.goto(console.address + path)
        await expect(page.get_by_role("heading", name="다른 역할의 화면입니다")).to_be_visible()
