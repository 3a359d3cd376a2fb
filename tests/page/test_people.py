"""The view "people": accounts, roles, one-time codes and ending sign-ins, by keyboard alone and in both languages."""

import json
import os
import re
from itertools import count

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page.console import Console, is_live, shows
from tests.page.test_imports import fill_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CHOSEN = "호랑이 담배 피우던 시절 이야기"
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.documentElement.innerHTML])"
WORDS = {
    "ko": {
        "people": "사용자",
        "add": "계정 추가",
        "send": "추가",
        "added": "계정을 추가했습니다",
        "code": "일회용 코드 발급",
        "copy": "코드 복사",
        "close": "닫기",
        "copied": "코드를 복사했습니다.",
        "end": "로그아웃",
        "ended": "로그아웃했습니다",
        "devices": "로그인한 기기",
        "shut": "계정 닫기",
        "shut_done": "계정을 닫고 모든 기기에서 로그아웃했습니다.",
        "reopen": "계정 다시 열기",
    },
    "en": {
        "people": "People",
        "add": "Add an account",
        "send": "Add",
        "added": "The account was added",
        "code": "Issue a one-time code",
        "copy": "Copy the code",
        "close": "Close",
        "copied": "The code was copied.",
        "end": "Sign out",
        "ended": "was signed out",
        "devices": "Signed-in devices",
        "shut": "Close the account",
        "shut_done": "The account was closed, and signed out on all devices.",
        "reopen": "Open the account again",
    },
}
_numbers = count(1)


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for people to look at, if `PEOPLE_PICTURES` names a folder."""
    if folder := os.environ.get("PEOPLE_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png")


def said(page: Page) -> Locator:
    """Return what the page says about the last deed."""
    return page.locator(".person > [role=status]")


async def press(page: Page, name: str, within: Locator | None = None) -> None:
    """Press a button by keyboard. It has to be one that the Tab key reaches."""
    button = (within or page.locator("#people")).get_by_role("button", name=name, exact=True)
    await button.focus()
    assert await button.evaluate("node => node.tabIndex === 0 && node === document.activeElement")
    await page.keyboard.press("Enter")


async def add(page: Page, username: str, *, name: str = "이새봄", role: str = "teacher", language: str = "ko") -> None:
    """Add an account by keyboard, and wait for its own page."""
    words = WORDS[language]
    await press(page, words["add"])
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator("select")).to_be_focused()
    await dialog.locator("select").select_option(role)
    await page.keyboard.press("Tab")
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type(username)
    await page.keyboard.press("Enter")
    await expect(page.locator("#people-title")).to_have_text(name)
    await expect(page.locator("#people-title")).to_be_focused()
    await expect(said(page)).to_contain_text(words["added"])


async def shown_code(page: Page) -> str:
    """Return the code in the dialog."""
    code = page.locator(".code-dialog .code")
    await expect(code).to_have_text(re.compile(r"^\d{4}( \d{4}){3}$"))
    return await code.inner_text()


async def issue(page: Page, language: str = "ko") -> str:
    """Issue a code by keyboard, copy it, and close the dialog. Return the code."""
    words = WORDS[language]
    await press(page, words["code"])
    dialog = page.get_by_role("dialog")
    code = await shown_code(page)
    await expect(dialog.get_by_role("button", name=words["copy"])).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("status").last).to_have_text(words["copied"])
    assert await page.evaluate("navigator.clipboard.readText()") == code
    await picture(page, f"code-{language}-{await page.evaluate('innerWidth')}")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name=words["code"])).to_be_focused()
    await expect(page.locator(".code-dialog .code")).to_be_empty()
    return code


async def choose_a_password(theirs: Page, code: str) -> None:
    """Choose a password by keyboard after a sign-in with a code. First type the code as password: it is refused."""
    password = theirs.get_by_label("새 비밀번호", exact=True)
    for typed in (code, CHOSEN):
        await password.fill("")
        await password.press_sequentially(typed)
        await theirs.keyboard.press("Tab")
        await theirs.locator("#repeat").fill("")
        await theirs.keyboard.type(typed)
        await theirs.keyboard.press("Enter")
        if typed == code:
            problem = theirs.locator("#change-problem")
            await expect(problem).to_contain_text("다른 비밀번호를 정해 주십시오")


async def end_device(page: Page, language: str) -> None:
    """Sign out the one device of an account by keyboard."""
    devices = page.locator(".devices li")
    await page.reload()
    await expect(devices).to_have_count(1)
    await picture(page, f"devices-{language}-{await page.evaluate('innerWidth')}")
    await devices.get_by_role("button").press("Enter")
    await expect(said(page)).to_contain_text(WORDS[language]["ended"])
    await expect(page.get_by_role("heading", name=WORDS[language]["devices"])).to_be_focused()
    await expect(devices).to_have_count(0)


async def close_account(page: Page, language: str) -> None:
    """Close the account by keyboard. Escape at the question changes nothing."""
    words = WORDS[language]
    await press(page, words["shut"])
    question = page.get_by_role("dialog")
    await picture(page, f"question-{language}-{await page.evaluate('innerWidth')}")
    await page.keyboard.press("Escape")
    await expect(question).to_be_hidden()
    await expect(page.get_by_role("button", name=words["shut"])).to_be_focused()
    await page.keyboard.press("Enter")
    await question.get_by_role("button", name=words["shut"]).press("Enter")
    await expect(said(page)).to_have_text(words["shut_done"])
    await expect(page.get_by_role("button", name=words["reopen"])).to_be_focused()


@pytest.mark.parametrize(("width", "language", "colours"), [(360, "ko", "dark"), (1440, "en", "light")])
async def test_an_account_from_its_code_to_its_end_by_keyboard_alone(
    console: Console, width: int, language: str, colours: str
) -> None:
    words, username = WORDS[language], f"walk-{language}"
    permissions = ["clipboard-read", "clipboard-write"]
    page = await console.open(viewport={"width": width, "height": 800}, color_scheme=colours, permissions=permissions)
    await is_live(page)
    if language == "en":
        await page.get_by_role("button", name="English").press("Enter")
    await page.get_by_role("link", name=words["people"], exact=True).press("Enter")
    await shows(page, "people")
    await expect(page.locator("#people tbody tr")).not_to_have_count(0)
    await picture(page, f"list-{language}-{width}")
    await add(page, username, language=language)
    await picture(page, f"person-{language}-{width}")
    code = await issue(page, language)
    assert code not in await page.evaluate(STORED)
    assert await page.evaluate("document.documentElement.scrollWidth") == width

    theirs = await console.open_signed_out("/people", viewport={"width": width, "height": 800})
    await picture(theirs, f"sign-in-{width}")
    await fill_in(theirs, "hanbit", username, code.replace(" ", "-"))
    await expect(theirs.get_by_label("새 비밀번호", exact=True)).to_be_focused()
    await expect(theirs.get_by_role("heading", name="새 비밀번호 정하기")).to_be_visible()
    await expect(theirs.get_by_label("새 비밀번호", exact=True)).to_have_accessible_description(
        re.compile("문장처럼 길게")
    )
    await expect(theirs.get_by_label("현재 비밀번호")).to_be_hidden()
    await picture(theirs, f"choose-{width}")
    await theirs.reload()
    await choose_a_password(theirs, code)
    await shows(theirs, "refused")  # a teacher may not open this address, and is signed in all the same
    await theirs.get_by_role("link", name="처음 화면으로").press("Enter")
    await is_live(theirs)

    await end_device(page, language)
    await expect(theirs.get_by_label("학원 코드")).to_be_visible()
    await close_account(page, language)
    await fill_in(theirs, "hanbit", username, CHOSEN)
    await expect(theirs.locator("#sign-in-problem")).to_contain_text("맞지 않습니다")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name=words["code"])).to_be_focused()
    await fill_in(theirs, "hanbit", username, CHOSEN)
    await is_live(theirs)


async def test_a_used_a_replaced_and_an_expired_code_are_explained(console: Console) -> None:
    page = await console.open("/people", academy="saebom", permissions=["clipboard-read", "clipboard-write"])
    await shows(page, "people")
    await add(page, "late")
    first = await issue(page)
    await press(page, "일회용 코드 발급")
    question = page.get_by_role("dialog")
    await expect(question).to_contain_text("먼저 발급한 코드는 더 이상 쓸 수 없습니다")
    await question.get_by_role("button", name="새 코드 발급").press("Enter")
    second = await shown_code(page)
    await page.keyboard.press("Escape")
    theirs = await console.open_signed_out("/")
    await fill_in(theirs, "saebom", "late", first)
    await expect(theirs.locator("#sign-in-problem")).to_contain_text("맞지 않습니다")
    console.query("UPDATE one_time_code SET expires_at = now() RETURNING 1")
    await fill_in(theirs, "saebom", "late", second)
    await expect(theirs.locator("#sign-in-problem")).to_contain_text("기한이 지났습니다")


async def test_a_wrong_form_says_what_is_wrong_beside_the_field(console: Console) -> None:
    page = await console.open("/people", academy="saebom")
    await shows(page, "people")
    await press(page, "계정 추가")
    dialog = page.get_by_role("dialog")
    for username, phone, problem in (
        ("Kim", "", "영어 소문자나 숫자로 시작하고"),
        ("staff", "", "이미 있는 사용자 이름입니다"),
        ("free", "010-0000-0000", "학부모 계정에만 쓸 수 있습니다"),
    ):
        await dialog.get_by_label("이름", exact=True).fill("김하나")
        await dialog.get_by_label("사용자 이름").fill(username)
        await dialog.get_by_label("학부모 전화번호").fill(phone)
        await page.keyboard.press("Enter")
        await expect(dialog.locator(":focus")).to_have_attribute("aria-invalid", "true")
        await expect(dialog.locator(".form-field .problem:not(:empty)")).to_contain_text(problem)
    await dialog.get_by_label("이름", exact=True).fill("")
    await dialog.get_by_label("사용자 이름").fill("Kim")
    await page.keyboard.press("Enter")
    await expect(dialog.locator(".form-field .problem:not(:empty)")).to_have_count(3)
    await picture(page, "form-wrong")
    await dialog.get_by_label("이름", exact=True).fill("김하나")
    await dialog.get_by_label("사용자 이름").fill("free")
    await dialog.get_by_label("역할").select_option("parent")
    await dialog.get_by_label("학부모 전화번호").press("Enter")
    await expect(dialog.locator(".form-field .problem:not(:empty)")).to_contain_text("학생 명단에 없거나")
    await page.keyboard.press("Escape")


async def test_filters_are_in_the_address_and_survive_a_reload_and_the_way_back(console: Console) -> None:
    page = await console.open("/people", academy="saebom")
    await shows(page, "people")
    rows = page.locator("#people tbody tr")
    await page.locator("#people-role").select_option("teacher")
    await page.locator("#people-search").press_sequentially("teacher")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"/people\?role=teacher&search=teacher$"))
    await page.reload()
    await expect(rows).to_have_count(1)
    await rows.get_by_role("link").press("Enter")
    await shows(page, "people")
    await expect(page).to_have_url(re.compile(r"/people/\d+$"))
    await page.go_back()
    await expect(rows).to_have_count(1)
    await expect(page.locator("#people-search")).to_have_value("teacher")
    await page.locator("#people-search").fill("없는 사람")
    await expect(page.locator("#people .none").first).to_have_text("해당하는 항목이 없습니다.")


async def test_staff_manage_teachers_and_not_owners_and_nobody_manages_themselves(console: Console) -> None:
    page = await console.open("/people", "staff")
    await shows(page, "people")
    await press(page, "계정 추가")
    roles = page.get_by_role("dialog").locator("option")
    await expect(roles).to_have_text(["강사", "학부모"])
    await page.keyboard.press("Escape")
    buttons = page.locator(".person .deeds button:visible")
    for username, shown, sentence in (
        ("owner", [], "원장과 직원의 계정은 원장만 관리할 수 있습니다."),
        ("staff", ["이름 바꾸기"], "내 계정입니다."),
        ("teacher", ["일회용 코드 발급", "이름·역할 바꾸기", "계정 닫기"], ""),
    ):
        await page.goto(f"{console.address}/people?search={username}")
        row = page.locator("#people tbody tr").filter(has=page.get_by_text(username, exact=True))
        await row.get_by_role("link").press("Enter")
        await expect(page.locator(".person .facts-list")).to_be_visible()
        await expect(page.locator(".person > .lead")).to_contain_text(sentence)
        await expect(buttons).to_have_text(shown)
        await expect(page.locator(".devices")).to_be_visible(visible=username == "teacher")
        await expect(page.locator(".person > .problem")).to_be_empty()


async def test_an_owner_changes_a_role_and_the_other_page_follows_at_once(console: Console) -> None:
    page = await console.open("/people")
    await shows(page, "people")
    username = f"role-{next(_numbers)}"
    await add(page, username, name="박역할", role="staff")
    await press(page, "일회용 코드 발급")
    code = await shown_code(page)
    await page.keyboard.press("Escape")
    theirs = await console.open_signed_out("/people")
    await fill_in(theirs, "hanbit", username, code)
    for label in ("새 비밀번호", "새 비밀번호 확인"):
        await theirs.get_by_label(label, exact=True).fill(CHOSEN)
    await theirs.keyboard.press("Enter")
    await shows(theirs, "people")
    await is_live(theirs)
    await press(page, "이름·역할 바꾸기")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("이름", exact=True)).to_be_focused()
    await dialog.get_by_label("역할").select_option("teacher")
    await dialog.get_by_role("button", name="저장").press("Enter")
    await expect(page.locator(".person .kind")).to_contain_text("강사")
    await expect(said(page)).to_contain_text("바로 적용됩니다")
    await expect(theirs.locator("#refused-title")).to_be_visible()
    await theirs.goto(console.address)
    await is_live(theirs)
    await expect(theirs.locator("#views a[data-view=people]")).to_be_hidden()


@pytest.mark.parametrize("username", ["teacher", "student"])
async def test_teachers_and_students_do_not_find_the_view(console: Console, username: str) -> None:
    page = await console.open("/people", username)
    await shows(page, "refused")
    await expect(page.get_by_role("link", name="사용자", exact=True)).to_be_hidden()


async def test_an_account_that_does_not_exist_and_one_of_another_academy_look_the_same(console: Console) -> None:
    ((other,),) = console.query(
        "SELECT min(u.id) FROM \"user\" u JOIN tenant t ON t.id = u.tenant_id WHERE t.code = 'saebom'"
    )
    page = await console.open("/people")
    await shows(page, "people")
    for user in (other, 999_999_999):
        await page.goto(f"{console.address}/people/{user}")
        await expect(page.locator("#people-title")).to_have_text("계정을 찾을 수 없습니다")
        await expect(page.locator(".person > .problem")).to_contain_text("다른 학원의 계정입니다")
        await expect(page).to_have_title("계정을 찾을 수 없습니다 · 학원 작업 현황")


async def test_a_code_that_cannot_be_copied_is_selected(console: Console) -> None:
    page = await console.open("/people", academy="saebom")
    await shows(page, "people")
    await add(page, f"select-{next(_numbers)}")
    await page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('refused')))")
    await press(page, "일회용 코드 발급")
    dialog, code = page.get_by_role("dialog"), await shown_code(page)
    await expect(dialog.get_by_role("button", name="코드 복사")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("status").last).to_contain_text("복사하지 못했습니다")
    assert await page.evaluate("getSelection().toString()") == code
    assert json.loads(await page.evaluate(STORED))[0].keys() <= {"academy.signed-in", "academy.language"}
