"""The view of messages: writing, the preview, sending once, live progress, and sending failed messages again."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from harness.system import System, demo_lecture
from tests.messaging.gateway import Gateway, running_gateway
from tests.page.console import Console, is_live, shows
from tests.page.test_lectures import filtered

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

API = "/api/v1/messages/"
REFUSED = "01055559999"
ENOUGH_TABS = 80
STORED = "JSON.stringify({...sessionStorage})"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Run a gateway that refuses messages to the phone number REFUSED."""
    with running_gateway() as running:
        running.answer = lambda message: 422 if message["to"] == REFUSED else 202
        yield running


def worker_settings(gateway: Gateway, rate: int = 60_000) -> dict[str, str]:
    return {"MESSAGE_PROVIDER": "http", "MESSAGE_HTTP_URL": gateway.url, "MESSAGE_RATE_PER_MINUTE": str(rate)}


@pytest_asyncio.fixture(loop_scope="module")
async def api(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with system.client() as client:
        yield client


def received(gateway: Gateway, ending: str) -> list[tuple[str, str]]:
    """Return the phone number and the text of each message whose text ends with `ending`.

    The gateway may also have received messages of other tests.
    """
    messages = [(message["to"], message["text"]) for message in gateway.received]
    return [(to, text) for to, text in messages if text.endswith(ending)]


async def student(api: httpx.AsyncClient, name: str, parent_phone: str, phone: str = "") -> int:
    body = {"name": name, "parent_phone": parent_phone, "phone": phone}
    answer = await api.post("/api/v1/students/", json=body)
    assert answer.status_code == 201, answer.text
    student_id: int = answer.json()["id"]
    return student_id


async def write(api: httpx.AsyncClient, **body: Any) -> str:
    answer = await api.post(API, json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


async def sent_with(api: httpx.AsyncClient, text: str) -> list[str]:
    """Return the ids of the bulk messages with this text."""
    return [one["job_id"] for one in (await api.get(API)).json()["results"] if one["text"] == text]


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(ENOUGH_TABS):
        await page.keyboard.press("Tab")
        if await target.evaluate("node => node === document.activeElement"):
            return
    raise AssertionError(f"The keyboard does not reach {target}.")


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for people to look at, if `MESSAGES_PICTURES` names a folder."""
    if folder := os.environ.get("MESSAGES_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def row(page: Page, name: str) -> Locator:
    return page.locator("#messages tbody tr").filter(has_text=name)


def chip(page: Page) -> Locator:
    """Return the state that the page of a bulk message shows."""
    return page.locator("#messages .kind .chip")


async def ended(page: Page, status: str = "DONE") -> None:
    await expect(page.locator("#messages .message")).to_have_attribute("data-status", status)


WALKS = [
    (1440, "ko", "owner", ["문자 쓰기", "학생 이름 넣기", "문자 보내기", "보내기", "완료"]),
    (360, "en", "staff", ["Write a message", "Insert the student’s name", "Send", "Send", "Done"]),
]


@pytest.mark.parametrize(("width", "language", "username", "words"), WALKS)
async def test_a_message_to_a_lecture_is_written_previewed_and_sent_by_keyboard_alone(
    console: Console,
    system: System,
    api: httpx.AsyncClient,
    gateway: Gateway,
    width: int,
    language: str,
    username: str,
    words: list[str],
) -> None:
    write_link, insert, send, yes, done = words
    lecture = await demo_lecture(api)
    page = await console.open(
        "/messages",
        username,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if width < 1000 else "light",
    )
    await is_live(page)
    if language == "en":
        await page.get_by_role("button", name="English").press("Enter")
    await tab_to(page, page.get_by_role("link", name=write_link))
    await page.keyboard.press("Enter")
    await shows(page, "messages")
    await picture(page, f"new-empty-{width}")
    choice = page.locator("#messages-lecture")
    await tab_to(page, choice)
    while await choice.input_value() != str(lecture["id"]):
        await page.keyboard.press("ArrowDown")
    await tab_to(page, page.get_by_role("button", name=insert))
    await page.keyboard.press("Enter")
    await expect(page.locator("#messages-text")).to_be_focused()
    await page.keyboard.press("Control+Z")
    await expect(page.locator("#messages-text")).to_have_value("")
    await page.keyboard.press("Control+Y")
    text = f" 학생, 내일 휴강입니다. {uuid4()}"
    await page.keyboard.type(text)
    names = [(await api.get("/api/v1/students/", params={"lecture": lecture["id"]})).json()["results"][0]["name"]]
    await expect(page.locator(".preview blockquote").first).to_have_text(names[0] + text)
    await expect(page.locator(".preview .people")).to_contain_text(f"{lecture['student_count']}")
    await picture(page, f"new-{width}")
    await tab_to(page, page.get_by_role("button", name=send, exact=True))
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_contain_text(f"{lecture['student_count']}")
    await picture(page, f"question-{width}")
    await page.keyboard.press("Tab")
    await expect(dialog.get_by_role("button", name=yes)).to_be_focused()
    with system.running_worker("messaging_worker", **worker_settings(gateway)):
        await page.keyboard.press("Enter")
        await shows(page, "messages")
        await expect(page).to_have_url(re.compile("/messages/[0-9a-f-]{36}$"))
        await ended(page)
    await expect(chip(page)).to_have_text(done)
    await expect(page.locator("[data-outcome=sent] dd")).to_have_text(f"{lecture['student_count']}")
    await expect(row(page, names[0]).first.locator("[data-status=DONE]")).to_be_visible()
    assert len(received(gateway, text)) == lecture["student_count"]
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await picture(page, f"done-{width}")
    await page.go_back()
    await expect(page.locator("#messages-text")).to_have_value("")


async def test_students_are_searched_and_picked_and_doubtful_numbers_are_named_before_sending(
    console: Console, api: httpx.AsyncClient
) -> None:
    for name, phone in (("표하나", "01066660001"), ("표두나", "01066660001"), ("표세나", "")):
        await student(api, name, "01066660009", phone)
    page = await console.open("/messages/new")
    await is_live(page)
    await page.get_by_label("학생을 골라서").check()
    await page.get_by_label("학생 찾기").fill("표")
    for name in ("표하나", "표두나", "표세나"):
        await page.get_by_label(f"{name} 선택").check()
    await page.get_by_label("학생 본인").check()
    await page.get_by_label("학생 찾기").fill("표하나")
    await expect(page.get_by_label("표두나 선택")).to_have_count(0)
    await page.get_by_label("내용").fill("{name} 축하합니다 🎉")
    preview = page.get_by_role("region", name="미리 보기")
    await expect(preview.locator(".people")).to_have_text("1명에게 문자 2건을 보냅니다.")
    await expect(preview).to_contain_text("전화번호가 없어 받지 못하는 학생 1명: 표세나")
    await expect(preview).to_contain_text(re.compile("010-6666-0001: 2건 \\(표(하나, 표두나|두나, 표하나)\\)"))
    await expect(preview).to_contain_text("문자로 보낼 수 없는 글자가 있습니다: 🎉")
    await picture(page, "doubts")
    await page.get_by_role("button", name="문자 보내기").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_have_text("1명에게 문자 2건을 보낼까요?")
    await expect(dialog).to_contain_text("표세나")
    await expect(dialog).to_contain_text("번호는 학생 화면에서 넣습니다.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="문자 보내기")).to_be_focused()
    await page.get_by_role("button", name="표두나 빼기").press("Enter")
    await expect(page.get_by_role("button", name="표세나 빼기")).to_be_focused()
    await page.get_by_role("button", name="표하나 빼기").press("Enter")
    await expect(preview.locator(".people")).to_have_text("0명에게 문자 0건을 보냅니다.")
    await page.get_by_role("button", name="문자 보내기").click()
    await expect(page.get_by_role("alert").filter(visible=True)).to_have_text(
        "받는 사람 가운데 전화번호가 있는 사람이 없습니다. 번호는 학생 화면에서 넣습니다."
    )
    assert await sent_with(api, "{name} 축하합니다 🎉") == []


async def test_what_is_missing_is_said_and_gets_the_focus(console: Console, api: httpx.AsyncClient) -> None:
    page = await console.open("/messages")
    await is_live(page)
    loaded = asyncio.Event()

    async def hold_back(route: Route) -> None:
        await loaded.wait()
        await route.continue_()

    await page.route("**/api/v1/lectures/**", hold_back)
    await page.get_by_role("link", name="문자 쓰기").click()
    await shows(page, "messages")
    send, alert = page.get_by_role("button", name="문자 보내기"), page.locator("#messages form > div > .problem")
    await send.press("Enter")
    await expect(alert).to_have_text("강의를 선택해 주십시오.")
    await expect(page.locator("#messages-lecture")).to_be_focused()
    loaded.set()
    await expect(page.locator("#messages-lecture option")).not_to_have_count(1)
    await expect(alert).to_have_text("강의를 선택해 주십시오.")  # what is loaded late does not take it back
    await page.get_by_label("학생을 골라서").check()
    await send.press("Enter")
    await expect(alert).to_have_text("학생을 한 명 이상 골라 주십시오.")
    await expect(page.locator("#messages-search")).to_be_focused()
    await page.get_by_label("강의를 듣는 학생 모두").check()
    await page.locator("#messages-lecture").select_option(str((await demo_lecture(api))["id"]))
    await page.get_by_label("내용").fill("  ")
    await send.press("Enter")
    await expect(alert).to_have_text("내용을 써 주십시오.")
    await expect(page.locator("#messages-text")).to_be_focused()


async def test_a_request_whose_answer_is_lost_is_sent_again_without_a_second_message(
    console: Console, api: httpx.AsyncClient
) -> None:
    page = await console.open("/messages/new")
    await is_live(page)
    text = f"한 번만 {uuid4()}"
    posts: list[str] = []

    async def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            return await route.continue_()
        posts.append(json.loads(route.request.post_data or "")["idempotency_key"])
        if len(posts) > 1:
            return await route.continue_()
        await route.fetch()
        return await route.abort()

    await page.route(f"**{API}", lose_the_first_answer)
    await page.locator("#messages-lecture").select_option(str((await demo_lecture(api))["id"]))
    await page.get_by_label("내용").fill(text)
    await page.get_by_role("button", name="문자 보내기").click()
    await page.get_by_role("dialog").get_by_role("button", name="보내기", exact=True).click()
    await expect(page.locator("#messages form > div > .problem")).to_contain_text("두 번 눌러도 한 번만 갑니다")
    await page.reload()
    await is_live(page)
    await expect(page.get_by_label("내용")).to_have_value(text)
    await page.get_by_role("button", name="문자 보내기").click()
    await page.get_by_role("dialog").get_by_role("button", name="보내기", exact=True).click()
    await expect(page).to_have_url(re.compile("/messages/[0-9a-f-]{36}$"))
    assert len(posts) == 2
    assert len(set(posts)) == 1
    (job_id,) = await sent_with(api, text)
    assert page.url.endswith(job_id)
    await api.post(f"/api/v1/jobs/{job_id}/cancel/")


async def test_two_clicks_at_once_ask_once_and_send_once(console: Console, api: httpx.AsyncClient) -> None:
    page = await console.open("/messages/new")
    await is_live(page)
    text = f"두 번 누름 {uuid4()}"
    await page.locator("#messages-lecture").select_option(str((await demo_lecture(api))["id"]))
    await page.get_by_label("내용").fill(text)
    await page.get_by_role("button", name="문자 보내기").dblclick()
    await page.get_by_role("dialog").get_by_role("button", name="보내기", exact=True).dblclick()
    await expect(page).to_have_url(re.compile("/messages/[0-9a-f-]{36}$"))
    (job_id,) = await sent_with(api, text)
    await api.post(f"/api/v1/jobs/{job_id}/cancel/")


async def test_progress_is_live_on_every_screen_and_the_office_can_cancel(
    console: Console, system: System, api: httpx.AsyncClient, gateway: Gateway
) -> None:
    listing, teacher = await console.open("/messages", "staff"), await console.open("/messages", "teacher")
    for page in (listing, teacher):
        await is_live(page)
    lecture = await demo_lecture(api)
    text = f"진행 {uuid4()}"
    asked: list[str] = []
    job_id = await write(api, text=text, lecture=lecture["id"])
    await expect(row(listing, text).locator(".chip")).to_have_text("대기 중")
    await row(teacher, text).get_by_role("link").click()
    await expect(chip(teacher)).to_have_text("대기 중")
    await teacher.locator("#messages .message tbody tr").first.wait_for()  # nothing more is loaded
    for page in (listing, teacher):
        page.on("request", lambda request: asked.append(request.url))
    with system.running_worker("messaging_worker", **worker_settings(gateway, rate=60)):
        await expect(chip(teacher)).to_have_text("진행 중")
        await expect(teacher.locator("[data-outcome=sent] dd")).not_to_have_text("0")
        await expect(teacher.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
        await expect(row(listing, text)).to_contain_text(re.compile(r"건 중 [1-9]\d*건 보냄"))
        assert [url for url in asked if "/messages/" in url] == []
        await picture(teacher, "running")
        await picture(listing, "list")
        await expect(teacher.locator("#messages").get_by_role("button", name="취소")).to_have_count(0)
        await row(listing, text).get_by_role("link").click()
        await listing.get_by_role("button", name="문자 보내기 취소").press("Enter")
        for page in (listing, teacher):
            await ended(page, "CANCELLED")
            await expect(page.locator("tbody .chip", has_text="보내지 않음").first).to_be_visible()
    await listing.get_by_role("button", name="문자 보내기 다시 시도").wait_for()
    await listing.get_by_role("link", name="← 모든 문자").click()
    await expect(row(listing, text).locator(".chip")).to_have_text("취소됨")
    detail = (await api.get(f"{API}{job_id}/")).json()
    assert len(received(gateway, text)) == detail["totals"]["sent"] < lecture["student_count"]


async def test_failed_messages_are_sent_again_once_by_keyboard(
    console: Console, system: System, api: httpx.AsyncClient, gateway: Gateway
) -> None:
    first = await student(api, "무하나", REFUSED, "01066661111")
    second = await student(api, "무두나", "01066662222")
    with system.running_worker("messaging_worker", **worker_settings(gateway)):
        job_id = await write(api, text="{name} 다시", students=[first, second])
        page = await console.open(f"/messages/{job_id}", "staff")
        stale = await console.open(f"/messages/{job_id}")
        for one in (page, stale):
            await is_live(one)
            await ended(one)
        await expect(row(page, "무하나")).to_contain_text("통신사가 받지 않았습니다. (통신사의 답: ")
        await page.get_by_role("button", name="실패", exact=True).press("Enter")
        await expect(row(page, "무두나")).to_have_count(0)
        await expect(page).to_have_url(re.compile("status=failed$"))
        await page.reload()
        await expect(page.get_by_role("button", name="실패", exact=True)).to_have_attribute("aria-pressed", "true")
        await expect(row(page, "무하나")).to_be_visible()
        await picture(page, "failed")
        await api.patch(f"/api/v1/students/{first}/", json={"parent_phone": "01066663333"})
        await tab_to(page, page.get_by_role("button", name="실패한 문자 다시 보내기 (1건)"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_contain_text("실패한 문자 1건을 다시 보낼까요?")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("앞서 실패한 문자를 다시 보낸 것입니다.")).to_be_visible()
        await ended(page)
        await expect(row(page, "무하나")).to_contain_text("010-6666-3333")
        await stale.get_by_role("button", name="실패한 문자 다시 보내기").click()
        await stale.get_by_role("button", name="다시 보내기", exact=True).click()
        await expect(stale.locator("#messages [role=alert]").filter(visible=True).first).to_contain_text(
            "이미 다시 보냈습니다"
        )
        await stale.get_by_role("link", name="다시 보낸 결과 보기").click()
        await expect(stale).to_have_url(page.url)
        await picture(stale, "retry")
    first_ones, again = received(gateway, "다시")[:2], received(gateway, "다시")[2:]
    assert sorted(first_ones) == [(REFUSED, "무하나 다시"), ("01066662222", "무두나 다시")]
    assert again == [("01066663333", "무하나 다시")]


async def test_a_teacher_reads_only_and_a_student_is_refused(console: Console, api: httpx.AsyncClient) -> None:
    page = await console.open("/messages", "teacher")
    await shows(page, "messages")
    await expect(page.get_by_text("문자를 보내는 일은 원장과 직원이 합니다.")).to_be_visible()
    await expect(page.get_by_role("link", name="문자 쓰기")).to_be_hidden()
    await page.goto(f"{console.address}/messages/new")
    await is_live(page)
    await expect(page.get_by_text("문자를 보내는 일은 원장과 직원이 합니다.")).to_be_visible()
    await expect(page.get_by_label("내용")).to_have_count(0)
    refused = await console.open("/messages", "student")
    await shows(refused, "refused")


async def test_a_draft_survives_another_language_and_another_view_but_is_no_other_users(console: Console) -> None:
    page = await console.open("/messages/new")
    await is_live(page)
    await page.get_by_label("학생을 골라서").check()
    await page.get_by_label("학생 찾기").fill("김")
    await filtered(page.locator("#messages tbody tr"), "김")
    await page.locator("#messages tbody input").first.check()
    await page.get_by_label("내용").fill("초안입니다")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("초안입니다")
    await page.get_by_role("link", name="Now", exact=True).click()
    await shows(page, "now")
    await page.go_back()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("초안입니다")
    await expect(page.locator(".picked button")).to_have_count(1)
    assert "초안입니다" in await page.evaluate(STORED)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect(page.locator("#sign-in")).to_be_visible()
    assert "초안입니다" not in await page.evaluate(STORED)
    await page.get_by_label("User name").fill("staff")
    await page.get_by_label("Academy code").fill("hanbit")
    await page.get_by_label("Password", exact=True).fill("academy-demo")
    await page.keyboard.press("Enter")
    await is_live(page)
    await expect(page).to_have_url(f"{console.address}/")
    await page.get_by_role("link", name="Messages", exact=True).click()
    await page.get_by_role("link", name="Write a message").click()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("")
    await expect(page.locator(".picked button")).to_have_count(0)


async def test_a_sign_out_in_one_tab_leaves_no_draft_and_no_address_in_the_others(console: Console) -> None:
    page = await console.open("/messages/new")
    await is_live(page)
    await page.get_by_label("내용").fill("초안입니다")
    closed = await page.context.new_page()  # a tab that is away while somebody signs out, and comes back later
    await closed.goto(f"{console.address}/static/page/mark.svg")
    await closed.evaluate("sessionStorage.setItem('academy.message-draft', '초안입니다')")
    await closed.evaluate(
        "localStorage.setItem('academy.signed-out', 'before'); sessionStorage.setItem('academy.signed-out', 'before')"
    )
    other = await page.context.new_page()
    await other.goto(f"{console.address}/videos")
    await is_live(other)
    await other.get_by_label("제목").fill("비밀 수업")
    await page.bring_to_front()
    await other.get_by_role("button", name="로그아웃", exact=True).click()
    for tab in (page, other):
        await expect(tab.locator("#sign-in")).to_be_visible()
        await expect(tab).to_have_url(f"{console.address}/")
        assert "초안입니다" not in await tab.evaluate(STORED)
        await expect(tab.locator("#video-title")).to_have_value("")
    await closed.goto(console.address)
    await expect(closed.locator("#sign-in")).to_be_visible()
    assert "초안입니다" not in await closed.evaluate(STORED)


async def test_many_students_without_a_number_are_counted_and_the_way_to_their_numbers_is_shown(
    console: Console, system: System, api: httpx.AsyncClient, gateway: Gateway
) -> None:
    names = [f"번호없음{letter}" for letter in "가나다라마바사"]
    absent = [await student(api, name, f"0106667{number:04d}") for number, name in enumerate(names)]
    text = f"번호 {uuid4()}"
    page = await console.open("/messages/new")
    await is_live(page)
    await page.get_by_label("학생을 골라서").check()
    await page.get_by_label("학생 찾기").fill("번호없음")
    for name in names:
        await page.get_by_label(f"{name} 선택").check()
    await page.get_by_label("학생 본인").check()
    await page.get_by_label("내용").fill(text)
    warning = page.locator(".preview .warnings li").first
    await expect(warning).to_contain_text(re.compile(r"학생 7명: \S+, \S+, \S+, \S+, \S+ 외 2명"))
    await expect(warning.get_by_role("link", name="학생 화면 열기")).to_have_attribute("href", "/students")
    await picture(page, "without-number")

    with system.running_worker("messaging_worker", **worker_settings(gateway)):
        job_id = await write(api, text=text, to="student", students=absent[:2])
        await page.goto(f"{console.address}/messages/{job_id}")
        await ended(page)
    hint = page.locator(".message .warnings")
    await expect(hint).to_contain_text("보내지 못한 문자가 2건")
    await expect(row(page, names[0]).get_by_role("link", name="번호 넣기")).to_have_attribute(
        "href", f"/students/{absent[0]}"
    )
    await picture(page, "no-number-hint")
    again = page.get_by_role("button", name=re.compile("^실패한 문자 다시 보내기"))
    await expect(again).to_have_count(0)
    changed = await api.patch(f"/api/v1/students/{absent[0]}/", json={"phone": "010-6667-9999"})
    assert changed.status_code == 200
    await page.reload()
    await expect(again).to_be_visible()
    await expect(hint).to_contain_text("보내지 못한 문자가 1건")


async def test_an_unknown_message_is_not_found(console: Console) -> None:
    page = await console.open(f"/messages/{uuid4()}")
    await expect(page.locator("#messages .paged .problem")).to_have_text("찾을 수 없습니다.")


async def test_nothing_is_asked_twice_on_load_and_nothing_is_polled(console: Console, system: System) -> None:
    academy = system.add_academy()  # jobs of other tests would make the page ask for them, some seconds later
    async with system.client(academy) as owner:
        job_id = await write(owner, text="조용함", students=[await student(owner, "조용한", "01066664444")])
        await owner.post(f"/api/v1/jobs/{job_id}/cancel/")
    page = await console.open("/videos", academy=academy)
    await is_live(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    for path in ("/messages", "/messages/new", f"/messages/{job_id}"):
        await page.goto("about:blank")  # so that no late request of the page before is counted
        asked.clear()
        await page.goto(console.address + path)
        await is_live(page)
        await expect(page.locator("#messages-title")).to_be_visible()
        console.publish("quiet:2", "PROCESSING", academy=academy, data={"title": "조용한 일"})
        await page.wait_for_load_state("networkidle")
        once = sorted(request for request in asked if "/realtime/ticket/" not in request)
        assert any("/api/v1/" in request for request in once)
        assert once == sorted(set(once)), path
