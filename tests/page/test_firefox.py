"""Walks through the page in Firefox with the keyboard alone: each kind of job, four roles, both languages, both widths.

Each walk has one role, one language and one width. The tests in Chromium check each view in more detail.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openpyxl
import pytest
import pytest_asyncio

from harness.firefox import DOWN, ENTER, ESCAPE, TAB, Firefox, running_firefox
from harness.system import System, eventually
from harness.videos import sample
from tests.messaging.gateway import running_gateway
from tests.page.keyboard import Person

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NARROW, WIDE = 360, 1440
SIGN_IN_FIELDS = {"ko": ("학원 코드", "사용자 이름", "비밀번호"), "en": ("Academy code", "User name", "Password")}
HOME = {
    ("ko", "student"): "내 강의와 동영상",
    ("ko", "owner"): "진행 중인 작업과 최근 결과",
    ("en", "staff"): "Running and recent work",
    ("en", "teacher"): "Running and recent work",
}
CLOSE = {"ko": "닫기", "en": "Close"}
CANNOT_PLAY = {"ko": "동영상을 재생할 수 없습니다.", "en": "The video cannot be played."}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    async with running_firefox(tmp_path_factory.mktemp("firefox")) as running:
        yield running


@asynccontextmanager
async def signed_in(
    firefox: Firefox, system: System, username: str, language: str, width: int
) -> AsyncIterator[Person]:
    """Open the page at this width, choose the language and sign in, all with the keyboard."""
    async with firefox.apart(system.address) as tab:
        await tab.resize(width, 800)
        person = Person(tab)
        if language == "en":
            await person.use("English")
        await person.sign_in(username, *SIGN_IN_FIELDS[language])
        await person.arrives_at(HOME[language, username])
        yield person
        await person.sees_no_overflow()


async def test_an_owner_imports_a_list_looks_at_its_failed_rows_and_downloads_an_export(
    firefox: Firefox, system: System, tmp_path: Path
) -> None:
    roster = tmp_path / "가을 명단.csv"
    roster.write_text("이름,학부모 전화\n여우하나,010-5151-0001\n여우둘,010-5151-0002\n여우셋,\n")
    async with signed_in(firefox, system, "owner", "ko", NARROW) as person:
        await person.use("명단 가져오기", "link", back=True)
        await person.arrives_at("학생 명단 가져오기")
        await person.choose_file("파일 선택", roster)
        await person.sees("완료", item=roster.name)
        await person.use(roster.name, "link")
        await person.arrives_at(roster.name)
        await person.sees("새로 등록 2", "실패 1")
        await person.use("실패한 행 1개 보기")
        await person.sees("4 여우셋 학부모 전화번호가 없습니다.")
        await person.arrives_at("실패한 행 접기", "button")

        await person.use("학생", "link", back=True)
        await person.arrives_at("학생")
        await person.fill_in("찾기", "여우")
        await person.sees("전체 2건")
        await person.use("찾은 학생 엑셀로 내보내기", back=True)
        await person.sees("내보낸 파일이 준비되었습니다.")
        await person.use("파일 내려받기")
        saved = await downloaded(firefox)
        header, *rows = openpyxl.load_workbook(saved).worksheets[0].values
        assert (header[0], {row[0] for row in rows}) == ("이름", {"여우하나", "여우둘"})
        await person.arrives_at("파일 내려받기", "button")


async def downloaded(firefox: Firefox) -> Path:
    """Wait until Firefox has saved a workbook, and return its path."""

    def saved() -> list[Path]:
        return [] if list(firefox.downloads.glob("*.part")) else list(firefox.downloads.glob("*.xlsx"))

    await eventually(lambda: any(file.stat().st_size for file in saved()), 60, "a workbook that Firefox saves")
    (file,) = saved()
    return file


async def test_staff_send_a_message_to_two_students_cancel_it_and_try_it_again(
    firefox: Firefox, system: System
) -> None:
    async with system.client() as client:
        for name, phone in (("담비하나", "01051520001"), ("담비둘", "01051520002")):
            body = {"name": name, "parent_phone": phone}
            assert (await client.post("/api/v1/students/", json=body)).status_code == 201
    async with signed_in(firefox, system, "staff", "en", WIDE) as person:
        await person.use("Messages", "link", back=True)
        await person.arrives_at("Messages")
        await person.use("Write a message", "link")
        await person.arrives_at("Write a message")
        await person.reach("All students of a lecture", "radio")
        await person.press(DOWN)
        await person.arrives_at("Students that I pick", "radio")
        await person.fill_in("Find students (name, school or phone number)", "담비")
        await person.sees("2 in all")
        await person.reach("Select all on this page", "checkbox")
        await person.press(" ")
        await person.fill_in("Text", "{name}: see you in Firefox")
        await person.sees("People: 2. Messages: 2.", "담비하나: see you in Firefox")
        await person.use("Send")
        await person.arrives_at("Go on writing", "button")
        await person.press(TAB)
        await person.arrives_at("Send", "button")
        await person.press(ENTER)
        await person.arrives_at("{name}: see you in Firefox")
        await person.sees("Waiting")
        await person.use("Cancel Bulk message")
        await person.sees("Cancelled", "Not sent", "Try again")
        await person.use("Try Bulk message again")
        with running_gateway() as gateway:
            settings = {"MESSAGE_PROVIDER": "http", "MESSAGE_HTTP_URL": gateway.url}
            with system.running_worker("messaging_worker", **settings):
                await person.sees("Done", "Sent 2", "Failed 0")
                await person.sees("Sent ·", item="담비둘")
        ours = [message["text"] for message in gateway.received if "see you in Firefox" in message["text"]]
        assert sorted(ours) == ["담비둘: see you in Firefox", "담비하나: see you in Firefox"]


async def test_a_teacher_uploads_a_video_plays_it_and_only_watches_imports(
    firefox: Firefox, system: System, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(sample(tmp_path, 1))
    async with signed_in(firefox, system, "teacher", "en", NARROW) as person:
        await person.use("Import", "link", back=True)
        await person.arrives_at("Import students")
        await person.sees("You can watch the imports of your academy.")
        await person.use("Videos", "link", back=True)
        await person.arrives_at("Lecture videos")
        await person.select("Lecture", "중등 수학 A")
        await person.fill_in("Title", "Foxes")
        await person.choose_file("Choose a video", film)
        await person.sees(film.name)
        with system.running_worker("video_worker"):
            await person.use("Upload")
            await person.sees("Ready", item="Foxes")
        await plays(person, "en", "Play Foxes", "Foxes")


async def plays(person: Person, language: str, button: str, title: str) -> None:
    """Open the player with its button, watch, and close it. If Firefox cannot decode the video, the player says so."""
    await person.use(button)
    await person.arrives_at(CLOSE[language], "button")
    await person.sees(title)
    said = await person.watches()
    assert said == "" if await person.can_decode() else said.startswith(CANNOT_PLAY[language])
    await person.press(ESCAPE)
    await person.arrives_at(button, "button")


async def test_a_student_finds_the_own_lectures_and_opens_a_video(firefox: Firefox, system: System) -> None:
    async with signed_in(firefox, system, "student", "ko", WIDE) as person:
        await person.sees("중등 수학 A")
        await plays(person, "ko", "1강 수업 영상 재생", "1강 수업 영상")
