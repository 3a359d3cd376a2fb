"""The view of students: list and search, add, change, remove and restore, history, export, and the template."""

import asyncio
import io
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl
import pytest
from playwright.async_api import Locator, Page, Route, expect

from harness.system import System, demo_lecture, import_workbook
from tests.page.console import Console, is_live, shows

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

STUDENTS = "/api/v1/students/"
TYPE_QUICKLY = """(box, letters) => {
  for (const letter of letters) {
    box.value += letter;
    box.dispatchEvent(new InputEvent("input", { bubbles: true, data: letter }));
  }
}"""
"""Types letters without a pause: a busy machine could make pauses between the keys that a test presses."""


async def opened(console: Console, path: str = "/students", username: str = "owner", **context: Any) -> Page:
    page = await console.open(path, username, **context)
    await is_live(page)
    await expect(page.locator("#students-title")).to_be_visible()
    return page


async def added(system: System, name: str, parent_phone: str, **more: str) -> int:
    async with system.client() as client:
        answer = await client.post(STUDENTS, json={"name": name, "parent_phone": parent_phone, **more})
        assert answer.status_code == 201, answer.text
        student_id: int = answer.json()["id"]
        return student_id


def rows(page: Page) -> Locator:
    return page.locator("#students tbody tr")


async def find(page: Page, text: str) -> None:
    await page.get_by_label("찾기", exact=True).fill(text)


def said(page: Page) -> Locator:
    return page.locator("#students .done")


async def tells(page: Page, sentence: str) -> None:
    """Wait until the view shows this sentence."""
    await expect(said(page)).to_contain_text(sentence)


async def lists(page: Page, number: int) -> None:
    """Wait until the list has this number of rows."""
    await expect(rows(page)).to_have_count(number)


async def until_english(page: Page) -> None:
    await page.get_by_role("button", name="English").click()


async def test_a_student_is_found_by_initial_consonants_while_one_types_and_a_reload_keeps_it(
    console: Console, system: System
) -> None:
    await added(system, "독고탁", "010-9996-0001", school="한빛중")
    page = await opened(console)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if f"{STUDENTS}?search=" in request.url else None)
    await page.get_by_label("찾기", exact=True).evaluate(TYPE_QUICKLY, "ㄷㄱㅌ")
    await lists(page, 1)
    await expect(rows(page)).to_contain_text("독고탁")
    await expect(rows(page)).to_contain_text("010-9996-0001")
    assert len(asked) == 1, "letters that come quickly are asked for once"
    await expect(page).to_have_url(re.compile(r"/students\?search="))
    await page.reload()
    await lists(page, 1)
    await expect(page.get_by_label("찾기", exact=True)).to_have_value("ㄷㄱㅌ")


async def test_a_late_answer_to_an_earlier_search_is_dropped(console: Console, system: System) -> None:
    await added(system, "선우재덕", "010-9996-0002")
    page = await opened(console)
    earlier = asyncio.Event()

    async def hold(route: Route) -> None:
        await earlier.wait()
        await route.continue_()

    await page.route(re.compile(r"search=%EA%B9%80(&|$)"), hold)
    async with page.expect_request(re.compile("search=%EA%B9%80")):
        await find(page, "김")
    await find(page, "선우재덕")
    await lists(page, 1)
    async with page.expect_response(re.compile("search=%EA%B9%80(&|$)")):
        earlier.set()
    await lists(page, 1)
    await expect(rows(page)).to_contain_text("선우재덕")


async def test_the_list_is_filtered_by_lecture(console: Console, system: System) -> None:
    async with system.client() as client:
        lecture = await demo_lecture(client)
        number = (await client.get(STUDENTS, params={"lecture": lecture["id"]})).json()["count"]
    page = await opened(console)
    await page.locator("#students-lecture").select_option(lecture["title"])
    await expect(page.locator("#students .paged .meta")).to_contain_text(f"{number}")
    await expect(page).to_have_url(re.compile(f"lecture={lecture['id']}"))


async def test_a_form_says_everything_that_is_wrong_at_once_beside_the_fields(console: Console) -> None:
    page = await opened(console)
    await page.get_by_role("button", name="학생 추가").press("Enter")
    await page.get_by_label("학부모 전화", exact=True).fill("02-123")
    await page.get_by_label("학생 전화", exact=True).fill("12")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("이름", exact=True)).to_be_focused()
    problems = page.get_by_role("dialog").locator(".form-field .problem:not(:empty)")
    await expect(problems).to_have_text(
        [re.compile("이름을"), re.compile("학부모 전화번호를"), re.compile("학생 전화번호를")]
    )
    await expect(page.get_by_role("dialog").locator("[aria-invalid=true]")).to_have_count(3)
    await page.get_by_role("button", name="닫기", exact=True).press("Enter")


async def test_an_empty_title_is_named_in_the_language_of_the_page(console: Console) -> None:
    page = await console.open("/lectures")
    await page.get_by_role("button", name="강의 추가").press("Enter")
    await page.keyboard.type("  ")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").locator(".form-field .problem:not(:empty)")).to_have_text(
        "이 칸을 채워 주십시오."
    )


@pytest.mark.parametrize("width", [360, 1440])
async def test_a_person_adds_changes_removes_and_restores_a_student_with_the_keyboard(
    console: Console, width: int
) -> None:
    page = await opened(console, viewport={"width": width, "height": 800})
    name, renamed = f"제갈공명{width}", f"제갈량{width}"
    await page.get_by_role("button", name="학생 추가").press("Enter")
    await expect(page.get_by_label("이름", exact=True)).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type("02-123")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("학부모 전화", exact=True)).to_be_focused()
    await expect(page.get_by_role("dialog")).to_contain_text(
        "학부모 전화번호를 010으로 시작하는 11자리로 적어 주십시오."
    )
    await page.get_by_label("학부모 전화", exact=True).fill(f"010-9995-{width:04d}")
    await page.get_by_label("학부모 전화", exact=True).press("Enter")
    await tells(page, f"{name} 학생을 추가했습니다.")
    await expect(page.get_by_role("button", name="학생 추가")).to_be_focused()

    await find(page, name)
    await lists(page, 1)
    await page.get_by_role("link", name=name).press("Enter")
    await shows(page, "students")
    await expect(page.locator("#students-title")).to_have_text(name)
    await expect(page).to_have_title(f"{name} · 학원 작업 현황")
    await page.get_by_role("button", name="정보 고치기").press("Enter")
    await page.get_by_label("이름", exact=True).fill(renamed)
    await page.get_by_label("학년", exact=True).fill("2")
    await page.keyboard.press("Enter")
    await expect(page.locator("#students-title")).to_have_text(renamed)
    await expect(page.locator("#students .time-line li").first).to_contain_text("이름, 학년 고침")
    await page.get_by_role("button", name="되돌리기").press("Enter")
    await expect(page.locator("#students-title")).to_have_text(name)

    await page.get_by_role("button", name="목록에서 빼기").press("Enter")
    await tells(page, f"{name} 학생을 목록에서 뺐습니다.")
    await expect(page).to_have_url(re.compile("/students$"))
    await page.get_by_role("button", name="되돌리기").press("Enter")
    await tells(page, f"{name} 학생을 복원했습니다.")
    await expect(page.locator("#students-title")).to_be_focused()
    await find(page, name)
    await lists(page, 1)
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_a_form_that_is_open_before_the_lectures_are_loaded_offers_them_and_is_sent(console: Console) -> None:
    page = await console.open("/")
    await is_live(page)
    loaded = asyncio.Event()

    async def hold_back(route: Route) -> None:
        await loaded.wait()
        await route.continue_()

    await page.route("**/api/v1/lectures/**", hold_back)
    await page.get_by_role("link", name="학생", exact=True).click()
    await page.get_by_role("button", name="학생 추가").press("Enter")
    await page.get_by_label("이름", exact=True).fill("늦은강의")
    await page.get_by_label("학부모 전화", exact=True).fill("02-123")
    loaded.set()
    await page.get_by_role("dialog").get_by_label("강의").select_option("중등 수학 A")
    await page.get_by_label("학부모 전화", exact=True).press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text(
        "학부모 전화번호를 010으로 시작하는 11자리로 적어 주십시오."
    )
    await expect(page.get_by_role("dialog").locator("option:checked")).to_have_text("중등 수학 A")


async def test_a_removed_student_is_restored_from_the_list_of_removed_ones(console: Console, system: System) -> None:
    student_id = await added(system, "남궁민수", "010-9996-0003")
    async with system.client(username="staff") as staff:
        await staff.delete(f"{STUDENTS}{student_id}/")
    page = await opened(console)
    await page.get_by_role("link", name="목록에서 뺀 학생").press("Enter")
    await expect(page.locator("#students-title")).to_have_text("목록에서 뺀 학생")
    await find(page, "ㄴㄱㅁㅅ")
    await lists(page, 1)
    await page.get_by_role("link", name="남궁민수").press("Enter")
    await expect(page.locator("#students .warning")).to_contain_text("목록에서 뺀 학생입니다.")
    await page.go_back()
    await page.get_by_role("button", name="남궁민수 복원").press("Enter")
    await tells(page, "남궁민수 학생을 복원했습니다.")
    await lists(page, 0)
    await page.goto(f"{console.address}/students/{student_id}")
    entries = page.locator("#students .time-line li")
    await expect(entries).to_have_count(3)
    assert [" · ".join(text.split(" · ")[:1]) for text in await entries.locator("span").all_text_contents()] == [
        "복원",
        "목록에서 뺌",
        "등록",
    ]


async def test_a_student_who_is_there_already_is_shown_and_a_conflict_is_told_in_the_form(
    console: Console, system: System
) -> None:
    await added(system, "황보영", "010-9996-0004")
    other = await added(system, "황보석", "010-9996-0004")
    page = await opened(console)
    await page.get_by_role("button", name="학생 추가").click()
    await page.get_by_label("이름", exact=True).fill("황보영")
    await page.get_by_label("학부모 전화", exact=True).fill("01099960004")
    await page.keyboard.press("Enter")
    await tells(page, "황보영 학생은 이미 있습니다.")
    await page.get_by_role("button", name="보기").click()
    await expect(page.locator("#students-title")).to_have_text("황보영")
    await page.goto(f"{console.address}/students/{other}")
    await page.get_by_role("button", name="정보 고치기").click()
    await page.get_by_label("이름", exact=True).fill("황보영")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text("이름과 학부모 전화번호가 같은 학생이 이미 있습니다.")
    await page.keyboard.press("Escape")
    await expect(page.locator("#students-title")).to_have_text("황보석")


async def test_what_is_found_is_exported_with_progress_and_downloaded(
    console: Console, system: System, tmp_path: Path
) -> None:
    await added(system, "사공명주", "010-9996-0005")
    page = await opened(console)
    await find(page, "ㅅㄱㅁㅈ")
    await lists(page, 1)
    export = page.get_by_role("button", name="엑셀로 내보내기")
    await export.press("Enter")
    exported = page.locator("#students .export")
    await expect(exported).to_have_attribute("data-status", "DONE")
    await expect(export).to_be_focused()
    await expect(exported).to_contain_text("학생 명단")
    async with page.expect_download() as started:
        await exported.get_by_role("button", name="파일 내려받기").press("Enter")
    download = await started.value
    assert download.suggested_filename.endswith(".xlsx")
    await download.save_as(tmp_path / "list.xlsx")
    header, row = openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets[0].values
    assert (header[0], row[0]) == ("이름", "사공명주")
    await exported.get_by_role("link", name="작업 보기").press("Enter")
    await expect(page).to_have_url(re.compile("/jobs/"))


async def test_the_template_is_downloaded_filled_in_and_imported_and_the_history_names_the_import(
    console: Console, tmp_path: Path
) -> None:
    page = await opened(console)
    async with page.expect_download() as started:
        await page.get_by_role("button", name="가져오기 양식 받기").press("Enter")
    download = await started.value
    assert download.suggested_filename == "학생 명단 양식.xlsx"
    await download.save_as(tmp_path / "template.xlsx")
    book = openpyxl.load_workbook(tmp_path / "template.xlsx")
    book.worksheets[0].append(["동방신기", "010-9996-0006"])
    filled = io.BytesIO()
    book.save(filled)
    await page.get_by_role("link", name="명단 가져오기").last.press("Enter")
    await shows(page, "imports")
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    await page.locator("#file").set_input_files({"name": "새 학기.xlsx", "mimeType": kind, "buffer": filled.getvalue()})
    done = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="새 학기.xlsx"))
    await expect(done).to_have_attribute("data-status", "DONE")
    await page.get_by_role("link", name="학생", exact=True).click()
    await find(page, "동방신기")
    await page.get_by_role("link", name="동방신기").click()
    await expect(page.locator("#students .time-line")).to_contain_text("등록 · ‘새 학기.xlsx’ 가져오기")
    await page.get_by_role("link", name="‘새 학기.xlsx’ 가져오기").click()
    await shows(page, "job")


async def test_the_upload_of_a_large_workbook_shows_how_much_has_left(console: Console, tmp_path: Path) -> None:
    page = await console.open("/students/import")
    await is_live(page)
    await page.evaluate("""() => {
      window.shares = [];
      const [node, bar] = ["import-share", "import-percent"].map((id) => document.getElementById(id));
      const note = () => bar.checkVisibility() && shares.push(node.textContent);
      new MutationObserver(note).observe(node, { childList: true });
    }""")
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 8_000_000}
    await session.send("Network.emulateNetworkConditions", slow)
    lines = ["이름,학부모 전화,메모", *(f"큰파일{n},010-9994-{n:04d},{'가' * 3000}" for n in range(2000))]
    file = tmp_path / "큰파일.csv"
    file.write_text("\n".join(lines))
    assert 15_000_000 < file.stat().st_size < 20_000_000
    await page.locator("#file").set_input_files(file)
    await page.wait_for_function("() => shares.length > 0")  # the bar was visible
    await expect(page.locator("#import-sent")).to_be_hidden()
    shares = [int(share.rstrip("%")) for share in await page.evaluate("shares")]
    assert len({share for share in shares if 0 < share < 100}) >= 3, shares
    done = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="큰파일.csv"))
    await expect(done).to_have_attribute("data-status", "DONE")


async def test_a_teacher_reads_and_changes_nothing_and_sees_no_removed_students(
    console: Console, system: System
) -> None:
    student_id = await added(system, "서문탁", "010-9996-0007")
    page = await opened(console, "/students", "teacher")
    await find(page, "ㅅㅁㅌ")
    await lists(page, 1)
    for name in ("학생 추가", "엑셀로 내보내기", "가져오기 양식 받기"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await expect(page.get_by_role("link", name="목록에서 뺀 학생")).to_have_count(0)
    await page.get_by_role("link", name="서문탁").click()
    await expect(page.locator("#students .time-line li")).to_have_count(1)
    for name in ("정보 고치기", "목록에서 빼기"):
        await expect(page.get_by_role("button", name=name)).to_be_hidden()
    async with system.client() as client:
        await client.delete(f"{STUDENTS}{student_id}/")
    await page.reload()
    await expect(page.locator("#students-title")).to_have_text("학생을 찾을 수 없습니다")


async def test_staff_may_add_students_and_a_student_may_not_open_the_view(console: Console) -> None:
    staff = await opened(console, "/students", "staff")
    await expect(staff.get_by_role("button", name="학생 추가")).to_be_visible()
    student = await console.open("/students", "student")
    await expect(student.get_by_role("heading", name="다른 역할의 화면입니다")).to_be_visible()


async def test_everything_is_said_in_english_too_and_the_language_changes_at_once(
    console: Console, system: System
) -> None:
    student_id = await added(system, "독고영재", "010-9996-0008")
    page = await opened(console, f"/students/{student_id}", viewport={"width": 360, "height": 740})
    await expect(page.locator("#students .time-line li")).to_have_count(1)
    await until_english(page)
    await expect(page.locator("#students")).not_to_contain_text(re.compile("등록|고치기|학부모"))
    await page.get_by_role("button", name="Remove").click()
    await tells(page, "독고영재 was removed.")
    await page.get_by_role("button", name="Undo").click()
    await tells(page, "독고영재 was restored.")
    await page.get_by_role("button", name="한국어").click()
    await tells(page, "독고영재 학생을 복원했습니다.")
    await expect(page.get_by_role("button", name="학생 추가")).to_be_visible()


async def test_a_student_who_does_not_exist_is_told_and_a_network_failure_is_named(console: Console) -> None:
    page = await opened(console, "/students/999999999")
    await expect(page.locator("#students-title")).to_have_text("학생을 찾을 수 없습니다")
    await expect(page.get_by_role("alert").filter(has_text="다른 학원의 학생입니다")).to_be_visible()
    await page.route(re.compile(STUDENTS), lambda route: route.abort())
    await page.get_by_role("link", name="← 학생 목록").click()
    await expect(
        page.locator("#students").get_by_role("alert").filter(has_text="서버에 연결할 수 없습니다")
    ).to_be_visible()


async def test_students_of_an_import_that_somebody_else_has_started_appear_in_the_list(
    console: Console, system: System
) -> None:
    page = await opened(console)
    await find(page, "빛나는별")
    await lists(page, 0)
    async with system.client(username="staff") as staff:
        await import_workbook(staff, "이름,학부모 전화\n빛나는별,010-9996-0009\n".encode(), name="별.csv")
    await lists(page, 1)


async def test_students_of_an_import_of_which_only_the_end_was_sent_appear_in_the_list(
    console: Console, system: System
) -> None:
    page = await opened(console)
    await find(page, "빛나는달")
    await lists(page, 0)
    await expect(page.locator("#students .none").first).to_be_visible()
    await added(system, "빛나는달", "010-9996-0011")
    console.publish(f"job:{uuid4()}", "DONE", data={"job_type": "excel_parsing", "file_name": "달.csv"})
    await lists(page, 1)


async def test_going_back_closes_an_open_form_and_forgets_what_was_done(console: Console, system: System) -> None:
    student_id = await added(system, "강감찬", "010-9996-0010")
    page = await opened(console, f"/students/{student_id}")
    await page.get_by_role("button", name="목록에서 빼기").click()
    await tells(page, "강감찬 학생을 목록에서 뺐습니다.")
    await page.get_by_role("button", name="학생 추가").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("#students-title")).to_have_text("강감찬")
    await expect(said(page)).not_to_contain_text("뺐습니다")
    await page.get_by_role("button", name="복원", exact=True).click()
    await tells(page, "강감찬 학생을 복원했습니다.")
    await expect(page.get_by_role("button", name="목록에서 빼기")).to_be_visible()
    await page.go_forward()
    await expect(page.get_by_role("button", name="학생 추가")).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)
