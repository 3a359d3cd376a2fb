"""Lectures in the page: who attends them, their lessons and videos, and what each role may do."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, Response, Route, expect

from harness.browser import PATIENCE_MS
from harness.system import System
from tests.page.console import WITHOUT_A_ROW, Console, is_live, shows

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def make_lecture(client: httpx.AsyncClient, title: str, students: int = 0) -> int:
    """Create a lecture with some students of the demo data, and return its id."""
    answer = await client.post("/api/v1/lectures/", json={"title": title})
    assert answer.status_code == 201, answer.text
    lecture_id = int(answer.json()["id"])
    if students:
        page = await client.get("/api/v1/students/", params={"page_size": students})
        ids = [row["id"] for row in page.json()["results"]]
        enrolled = await client.post(f"/api/v1/lectures/{lecture_id}/students/", json={"students": ids})
        assert enrolled.json() == {"enrolled": students, "already": 0}
    return lecture_id


def refusals(page: Page) -> list[str]:
    """Return a list that collects the server's error responses, each as status and URL."""
    found: list[str] = []

    def note(answer: Response) -> None:
        # Videos that tests insert into the database have no pictures.
        if answer.status >= 400 and "/media/hls/" not in answer.url and not WITHOUT_A_ROW.search(answer.url):
            found.append(f"{answer.status} {answer.url}")

    page.on("response", note)
    return found


def students(page: Page) -> Locator:
    return page.get_by_role("table", name="수강생").locator("tbody tr")


async def filtered(rows: Locator, text: str) -> None:
    """Wait until a list was searched: it has rows, and each contains the text."""
    await expect(rows.filter(has_not_text=text)).to_have_count(0)
    await expect(rows.first).to_contain_text(text)


def said(page: Page) -> Locator:
    return page.locator(".lecture > [role=status]")


async def test_a_lecture_is_added_and_students_are_enrolled_with_the_keyboard_alone(console: Console) -> None:
    page = await console.open("/lectures")
    await is_live(page)
    await shows(page, "lectures")
    await page.get_by_role("button", name="강의 추가").press("Enter")
    await page.keyboard.type("키보드 강의")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"/lectures/\d+$"))
    await expect(page).to_have_title("키보드 강의 · 학원 작업 현황")
    await shows(page, "lectures")
    await page.get_by_role("button", name="수강생 추가").press("Enter")
    dialog = page.get_by_role("dialog", name="수강생 추가")
    await expect(dialog.get_by_role("searchbox")).to_be_focused()
    await expect(dialog.get_by_role("button", name="등록할 학생을 선택하십시오")).to_be_disabled()
    await page.keyboard.type("김")
    await filtered(dialog.locator("tbody tr"), "김")
    for row in (dialog.locator("tbody tr").nth(0), dialog.locator("tbody tr").nth(1)):
        await row.get_by_role("checkbox").press("Space")
    await dialog.get_by_role("button", name="선택한 2명 등록").press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(said(page)).to_have_text("2명을 등록했습니다.")
    await expect(students(page)).to_have_count(2)
    await expect(page.get_by_role("button", name="수강생 추가")).to_be_focused()


async def test_students_are_searched_and_an_enrolment_is_removed_after_a_question(
    console: Console, system: System
) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "수강 취소 강의", students=25)
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    await expect(students(page)).to_have_count(20)
    await page.get_by_role("button", name="다음").click()
    await expect(students(page)).to_have_count(5)
    name = await students(page).first.locator("td").first.inner_text()
    await page.get_by_role("searchbox", name="이름, 학교, 전화번호로 찾기").fill(name)
    await filtered(students(page), name)
    row = students(page).filter(has_text=name)
    before = await row.count()
    await row.first.get_by_role("button", name="수강 취소").click()
    question = page.get_by_role("dialog", name=f"{name} 학생의 수강을 취소할까요?")
    await expect(question).to_contain_text("동영상을 더는 볼 수 없습니다")
    await question.get_by_role("button", name="그대로 두기").click()
    await expect(row).to_have_count(before)
    await row.first.get_by_role("button", name="수강 취소").click()
    await question.get_by_role("button", name="수강 취소").click()
    await expect(said(page)).to_have_text(f"{name} 학생의 수강을 취소했습니다.")
    await expect(page.get_by_role("heading", name="수강생", exact=True)).to_be_focused()
    async with system.client() as client:
        assert (await client.get(f"/api/v1/lectures/{lecture_id}/")).json()["student_count"] == 24


async def test_a_lecture_is_renamed_archived_taken_back_and_deleted(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "여름 특강")
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    await page.get_by_role("button", name="고치기").click()
    form = page.get_by_role("dialog", name="강의 고치기")
    await expect(form.get_by_label("강의 이름")).to_have_value("여름 특강")
    await form.get_by_label("강의 이름").fill("겨울 특강")
    await form.get_by_label("설명").fill("고1 대상")
    await form.get_by_role("button", name="저장").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("겨울 특강")
    await expect(page).to_have_title("겨울 특강 · 학원 작업 현황")
    await page.get_by_role("button", name="보관", exact=True).click()
    await page.get_by_role("dialog", name="‘겨울 특강’ 강의를 보관할까요?").get_by_role("button", name="보관").click()
    await expect(page.locator(".lecture .chip").first).to_have_text("보관됨")
    await page.get_by_role("link", name="모든 강의").click()
    await expect(page.get_by_role("link", name="겨울 특강")).to_have_count(0)
    await page.get_by_label("구분").select_option("보관한 강의")
    await expect(page).to_have_url(re.compile("active=false"))
    await page.get_by_role("link", name="겨울 특강").click()
    await page.get_by_role("button", name="다시 운영").click()
    await expect(page.locator(".lecture .chip").first).to_be_hidden()
    await page.get_by_role("button", name="삭제", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    await expect(page).to_have_url(re.compile("/lectures$"))
    async with system.client() as client:
        assert (await client.get(f"/api/v1/lectures/{lecture_id}/")).status_code == 404


async def test_the_list_keeps_its_search_in_the_address(console: Console, system: System) -> None:
    async with system.client() as client:
        await make_lecture(client, "찾을 강의")
    page = await console.open("/lectures")
    await is_live(page)
    await page.get_by_label("강의 이름으로 찾기").fill("찾을")
    rows = page.locator("#lectures tbody tr")
    await expect(rows).to_have_count(1)
    await page.reload()
    await expect(page.get_by_label("강의 이름으로 찾기")).to_have_value("찾을")
    await expect(rows).to_have_count(1)
    await page.get_by_role("link", name="찾을 강의").click()
    await shows(page, "lectures")
    await page.go_back()
    await expect(page.get_by_label("강의 이름으로 찾기")).to_have_value("찾을")


async def test_lessons_are_added_renamed_and_deleted(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "수업 강의")
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    lessons = page.locator(".lessons > li")
    await page.get_by_role("button", name="수업 추가").click()
    await page.get_by_role("dialog", name="수업 추가").get_by_label("수업 이름").fill("1강")
    await page.keyboard.press("Enter")
    await expect(lessons).to_have_count(1)
    await lessons.get_by_role("button", name="1강 이름 바꾸기").click()
    await page.get_by_role("dialog", name="수업 이름 바꾸기").get_by_label("수업 이름").fill("첫 수업")
    await page.keyboard.press("Enter")
    await expect(lessons.get_by_role("heading")).to_have_text("첫 수업")
    await expect(lessons.get_by_role("button", name="첫 수업 이름 바꾸기")).to_be_focused()
    await lessons.get_by_role("button", name="첫 수업 삭제").click()
    await page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    await expect(lessons).to_have_count(0)


async def test_a_late_answer_does_not_bring_back_an_older_list_of_lessons(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "느린 강의")
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    late, waiting = asyncio.Event(), asyncio.Event()

    async def answer_late(route: Route) -> None:
        answer = await route.fetch()
        waiting.set()
        await late.wait()
        await route.fulfill(response=answer)

    await page.route("**/lessons/?page_size=200", answer_late, times=1)
    console.publish(f"lecture:{lecture_id}", "DONE", attempt=1)
    await asyncio.wait_for(waiting.wait(), PATIENCE_MS / 1000)
    await page.get_by_role("button", name="수업 추가").click()
    await page.get_by_role("dialog", name="수업 추가").get_by_label("수업 이름").fill("1강")
    async with page.expect_response("**/lessons/?page_size=200"):
        await page.keyboard.press("Enter")
    lessons = page.locator(".lessons > li")
    await expect(lessons).to_have_count(1)
    async with page.expect_event("requestfinished", lambda request: "/lessons/?page_size" in request.url):
        late.set()
    await page.evaluate("fetch('/healthz').then((answer) => answer.text())")
    await expect(lessons).to_have_count(1)


NEW_VIDEO = """
    WITH lesson AS (
        INSERT INTO lecture_session (tenant_id, lecture_id, title, "order")
        SELECT tenant_id, id, '9강', 9 FROM lecture WHERE id = %s RETURNING id, tenant_id
    )
    INSERT INTO video
        (tenant_id, session_id, title, status, attempt, hls_path, file_name, source, created_at, updated_at)
    SELECT tenant_id, id, '새 영상', %s, 1, '', '', '', now(), now() FROM lesson RETURNING id
"""


async def test_the_videos_of_a_lecture_follow_the_feed(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "영상 강의")
    ((running,),) = system.query(NEW_VIDEO, lecture_id, "PROCESSING")
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    shown = page.locator(".lessons ul > li")
    await expect(shown.locator(".chip")).to_have_text("변환하는 중")
    link = shown.get_by_role("link")
    await link.focus()
    console.publish(
        f"video:{running}", "FAILED", data={"title": "새 영상"}, error={"code": "truncated", "message": "x"}
    )
    await expect(shown.locator(".chip")).to_have_text("실패")
    system.query("UPDATE lecture SET video_changes = 1 WHERE id = %s RETURNING id", lecture_id)
    system.query("UPDATE video SET status = 'READY', attempt = 2 WHERE id = %s RETURNING id", running)
    console.publish(f"lecture:{lecture_id}", "DONE")
    await expect(shown.locator(".chip")).to_have_text("재생 가능")
    await expect(page.get_by_role("button", name="새 영상 재생")).to_be_visible()
    await expect(link).to_be_focused()
    await page.get_by_role("link", name="작업 현황", exact=True).click()
    await shows(page, "now")
    await expect(page.locator("#now-list")).not_to_contain_text(f"lecture:{lecture_id}")


async def test_a_teacher_sees_the_lecture_without_what_the_office_alone_may_do(
    console: Console, system: System
) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "강사가 보는 강의", students=3)
    page = await console.open("/lectures", "teacher")
    refused = refusals(page)
    await is_live(page)
    await page.get_by_role("link", name="강사가 보는 강의").click()
    await expect(page).to_have_url(re.compile(f"/lectures/{lecture_id}$"))
    await expect(students(page)).to_have_count(3)
    shown = [await button.inner_text() for button in await page.locator("#lectures button:visible").all()]
    assert shown == []
    await expect(page.get_by_role("link", name="동영상 올리기")).to_have_attribute(
        "href", f"/videos?lecture={lecture_id}"
    )
    await page.get_by_role("link", name="동영상 올리기").click()
    await shows(page, "videos")
    await expect(page.locator("#lecture")).to_have_value(str(lecture_id))
    for path in ("/", "/videos", "/students/import", f"/lectures/{lecture_id}"):
        await page.goto(console.address + path)
        await is_live(page)
        await page.wait_for_load_state("networkidle")
    assert refused == []


async def test_a_student_may_not_open_lectures_and_finds_the_way_to_the_own_view(console: Console) -> None:
    page = await console.open("/lectures", "student")
    await shows(page, "refused")
    await page.get_by_role("link", name="처음 화면으로").click()
    await expect(page).to_have_url(re.compile("/my$"))
    await shows(page, "my")


@pytest.mark.parametrize("lecture_id", ["999999999", "0"])
async def test_a_lecture_that_does_not_exist_says_so(console: Console, lecture_id: str) -> None:
    page = await console.open(f"/lectures/{lecture_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("강의를 찾을 수 없습니다")


async def test_a_lecture_of_another_academy_does_not_exist(console: Console, system: System) -> None:
    async with system.client("saebom") as client:
        lecture_id = await make_lecture(client, "남의 강의")
    page = await console.open(f"/lectures/{lecture_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("강의를 찾을 수 없습니다")


async def test_what_the_server_refuses_is_said_beside_the_lecture(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture_id = await make_lecture(client, "동영상이 생긴 강의")
    page = await console.open(f"/lectures/{lecture_id}")
    await is_live(page)
    await page.get_by_role("button", name="삭제", exact=True).wait_for()
    system.query(NEW_VIDEO, lecture_id, "FAILED")  # somebody uploads a video meanwhile
    await page.get_by_role("button", name="삭제", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="삭제").click()
    await expect(page.locator(".lecture > .problem")).to_contain_text("강의는 대신 보관할 수 있습니다")


async def test_each_view_asks_once_and_polls_nothing(console: Console, system: System) -> None:
    academy = system.add_academy(students=2)
    async with system.client(academy) as client:
        lecture_id = await make_lecture(client, "조용한 강의", students=2)
    page = await console.open(f"/lectures/{lecture_id}", academy=academy)
    await is_live(page)
    await page.goto("about:blank")
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.removeprefix(console.address)}"))
    await page.goto(f"{console.address}/lectures/{lecture_id}")
    await is_live(page)
    await expect(students(page)).to_have_count(2)
    await page.wait_for_load_state("networkidle")
    once = sorted(request for request in asked if "/realtime/ticket/" not in request)
    assert once == sorted(set(once))
