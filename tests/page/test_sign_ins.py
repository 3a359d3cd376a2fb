"""The page keeps no refresh token where a script can read it, and shows where the account is signed in."""

import json
import os

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from harness.browser import new_context
from harness.system import PASSWORD, System
from tests.page.test_imports import fill_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
FORBIDDEN = """for (const area of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, area, { get() { throw new DOMException("forbidden", "SecurityError") } })"""
RENAME = "import('/static/page/videos/rename.js').then((it) => { it.renameVideo('1', '비밀 수업', () => {}) })"
TABLET = "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"


async def signed_in(browser: Browser, system: System, username: str, **context: str) -> Page:
    page = await (await new_context(browser, **context)).new_page()
    await page.goto(system.address)
    await page.get_by_label("학원 코드").fill("saebom")
    await page.get_by_label("사용자 이름").fill(username)
    await page.get_by_label("비밀번호", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    await live(page)
    return page


def end_sign_ins_of_staff(system: System) -> None:
    system.query(
        'UPDATE login_session SET ended_at = now() WHERE ended_at IS NULL AND user_id = (SELECT u.id FROM "user" u'
        " JOIN tenant t ON t.id = u.tenant_id WHERE u.username = 'staff' AND t.code = 'saebom') RETURNING 1"
    )


async def live(page: Page) -> None:
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")


async def test_no_token_is_stored_and_a_reload_and_a_second_tab_stay_signed_in(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "owner")
    assert "eyJ" not in await page.evaluate(STORED)
    await page.reload()
    await live(page)
    tabs = [await page.context.new_page() for _ in range(3)]
    for tab in tabs:
        await tab.goto(system.address, wait_until="commit")
    for tab in tabs:
        await live(tab)
    (cookie,) = [cookie for cookie in await page.context.cookies(f"{system.address}/api/v1/auth/") if cookie]
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("refresh_saebom", True, "Strict")
    async with page.expect_response("**/auth/logout/"):
        await page.get_by_role("button", name="로그아웃").click()
    for tab in [page, *tabs]:
        await expect(tab.get_by_label("학원 코드")).to_be_visible()
    assert await page.context.cookies(f"{system.address}/api/v1/auth/") == []
    await page.context.close()


async def test_a_device_is_listed_and_can_be_signed_out_by_keyboard(browser: Browser, system: System) -> None:
    page = await signed_in(browser, system, "staff")
    tablet = await signed_in(browser, system, "staff", user_agent=TABLET)  # other tests sign in with phones
    await page.get_by_role("button", name="내 로그인").press("Enter")
    dialog = page.get_by_role("dialog", name="내 로그인")
    rows = dialog.get_by_role("listitem")
    await expect(rows.filter(has_text="이 기기")).to_have_count(1)
    other = rows.filter(has_text="Safari · iPad")
    await expect(other).to_have_count(1)
    await picture(page, "dialog-korean")
    await other.get_by_role("button").press("Enter")
    await expect(dialog.get_by_role("status")).to_have_text("Safari · iPad에서 로그아웃했습니다.")
    await expect(other).to_have_count(0)
    await expect(dialog.get_by_role("heading", level=2)).to_be_focused()
    await expect(tablet.get_by_label("학원 코드")).to_be_visible()
    await expect(tablet.locator("#sign-in-problem")).to_contain_text("다시 로그인해 주십시오")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="내 로그인")).to_be_focused()
    await live(page)
    for one in (page, tablet):
        await one.context.close()


async def test_after_a_sign_out_the_next_user_begins_at_the_first_page_and_a_copied_link_still_opens(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "owner")
    await page.get_by_role("link", name="사용자", exact=True).click()
    await expect(page).to_have_url(f"{system.address}/people")
    await page.get_by_role("button", name="로그아웃", exact=True).click()
    await expect(page).to_have_url(f"{system.address}/")
    await fill_in(page, "saebom", "student", PASSWORD)
    await expect(page).to_have_url(f"{system.address}/my")
    await expect(page.locator("#my-title")).to_be_visible()
    await page.get_by_role("button", name="로그아웃", exact=True).click()
    await page.goto(f"{system.address}/people?role=teacher")
    await fill_in(page, "saebom", "owner", PASSWORD)
    await expect(page).to_have_url(f"{system.address}/people?role=teacher")
    await expect(page.locator("#people-title")).to_be_visible()
    await page.context.close()


async def test_another_user_than_the_one_whose_sign_in_has_ended_begins_at_the_first_page(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "staff")
    await page.get_by_role("link", name="사용자", exact=True).click()
    end_sign_ins_of_staff(system)
    await expect(page.locator("#sign-in-problem")).to_contain_text("다시 로그인해 주십시오")
    await expect(page).to_have_url(f"{system.address}/people")
    await fill_in(page, "saebom", "student", PASSWORD)
    await expect(page).to_have_url(f"{system.address}/my")
    await page.context.close()


async def test_a_user_who_signs_in_in_another_tab_sees_nothing_that_another_user_has_typed_in_this_one(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "staff")
    other = await page.context.new_page()
    await other.goto(system.address)
    await live(other)
    await page.locator("a[data-view=videos]").click()
    await page.locator("#video-file").set_input_files({"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"0"})
    await page.locator("#video-title").fill("비밀 수업")
    await page.get_by_role("button", name="내 로그인").click()
    await page.get_by_role("button", name="비밀번호 변경").click()
    await page.locator("#old-password").fill(PASSWORD)
    await page.evaluate(RENAME)
    await expect(page.locator("dialog[open]")).to_have_count(1)
    end_sign_ins_of_staff(system)
    await expect(other.locator("#sign-in-problem")).to_contain_text("다시 로그인해 주십시오")
    await expect(page.locator("#sign-in")).to_be_visible()
    await expect(page.locator("#old-password")).to_have_value("")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(page.locator("#video-title")).to_have_value("비밀 수업")  # the same user may come back
    await fill_in(other, "saebom", "student", PASSWORD)
    await expect(page.locator("#my-title")).to_be_visible()
    await expect(page.locator("#video-title")).to_have_value("")
    await expect(page.locator("#video-name")).to_be_empty()
    assert await page.locator("#video-file").evaluate("(file) => file.files.length") == 0
    await page.context.close()


async def test_a_draft_waits_for_its_user_after_a_session_has_ended_and_is_dropped_for_another_user(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "staff")
    await page.goto(f"{system.address}/messages/new")
    await page.get_by_label("내용").fill("초안입니다")
    for username in ("staff", "student"):
        await live(page)
        end_sign_ins_of_staff(system)
        await expect(page.locator("#sign-in-problem")).to_contain_text("다시 로그인해 주십시오")
        if username == "staff":
            await fill_in(page, "saebom", "staff", PASSWORD)
            await expect(page.get_by_label("내용")).to_have_value("초안입니다")
    await page.reload()
    await fill_in(page, "saebom", "student", PASSWORD)
    await expect(page.locator("#account")).to_be_visible()
    assert "초안입니다" not in await page.evaluate(STORED)
    await page.context.close()


@pytest.mark.parametrize("script", [FULL, FORBIDDEN], ids=["full", "forbidden"])
async def test_a_browser_without_storage_signs_in_and_out(browser: Browser, system: System, script: str) -> None:
    page = await (await new_context(browser)).new_page()
    await page.add_init_script(script)
    await page.goto(system.address)
    await fill_in(page, "saebom", "staff", PASSWORD)
    await live(page)
    await page.locator("#video-title").evaluate("(title) => { title.value = '비밀 수업' }")
    async with page.expect_response("**/auth/logout/") as sent:
        await page.get_by_role("button", name="로그아웃", exact=True).click()
    assert (await sent.value).status == 204
    await expect(page.locator("#sign-in")).to_be_visible()
    await expect(page.locator("#video-title")).to_have_value("")
    await expect(page.locator("#sign-out-waiting")).to_be_empty()
    assert await page.context.cookies(f"{system.address}/api/v1/auth/") == []
    await page.context.close()


async def test_a_page_takes_over_the_session_that_an_earlier_version_stored(browser: Browser, system: System) -> None:
    account = {"tenant": "saebom", "username": "owner", "password": PASSWORD}
    page = await (await new_context(browser)).new_page()
    tokens = await (await page.request.post(f"{system.address}/api/v1/auth/token/", data=account)).json()
    stored = json.dumps({**tokens, "until": 0})
    await page.add_init_script(
        f"if (!window.name) localStorage.setItem('academy.session', {stored!r}); window.name = 'x'"
    )
    await page.goto(system.address)
    await live(page)
    assert "eyJ" not in await page.evaluate(STORED)
    await page.reload()
    await live(page)
    await page.context.close()


async def test_a_sign_out_that_does_not_arrive_is_shown_and_sent_again(browser: Browser, system: System) -> None:
    page = await signed_in(browser, system, "owner")
    context, auth = page.context, f"{system.address}/api/v1/auth/"
    await context.set_offline(True)
    await page.get_by_role("button", name="로그아웃").click()
    await expect(page.get_by_label("학원 코드")).to_be_visible()
    await expect(page.locator("#sign-out-waiting")).to_contain_text("로그아웃 요청이 서버에 전달되지 않았습니다")
    assert len(await context.cookies(auth)) == 1
    async with page.expect_response("**/auth/logout/") as sent:
        await context.set_offline(False)
    assert (await sent.value).status == 204
    await expect(page.locator("#sign-out-waiting")).to_be_empty()
    assert await context.cookies(auth) == []
    await context.close()


async def test_signing_in_again_sends_the_waiting_sign_out_first(browser: Browser, system: System) -> None:
    page = await signed_in(browser, system, "owner")
    context, sent = page.context, list[str]()
    await context.route("**/auth/logout/", lambda route: route.abort())
    await page.get_by_role("button", name="로그아웃").click()
    await expect(page.locator("#sign-out-waiting")).not_to_be_empty()
    page.on("request", lambda request: sent.append(request.url.rpartition("/auth/")[2]))
    await page.get_by_label("학원 코드").fill("saebom")
    await page.get_by_label("사용자 이름").fill("owner")
    await page.get_by_label("비밀번호", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    await live(page)
    assert sent.index("logout/") < sent.index("token/")
    assert "signing-out" not in await page.evaluate(STORED)
    await page.reload()
    await live(page)
    await context.close()


async def test_a_user_who_does_not_recognize_a_device_can_change_the_password_there(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "teacher")
    other = await signed_in(browser, system, "teacher")
    new = "mapsa-the-quiet-harbour-41"
    await page.get_by_role("button", name="내 로그인").click()
    await page.get_by_role("button", name="비밀번호 변경").click()
    await expect(page.locator("#change-lead")).to_contain_text("다른 기기")
    await expect(page.get_by_label("현재 비밀번호")).to_be_focused()
    await page.get_by_role("button", name="돌아가기").click()
    await live(page)
    await page.get_by_role("button", name="내 로그인").click()
    await page.get_by_role("button", name="비밀번호 변경").click()
    await page.get_by_label("현재 비밀번호").fill(PASSWORD)
    await page.get_by_label("새 비밀번호", exact=True).fill(new)
    await page.get_by_label("새 비밀번호 확인").fill(new)
    await page.get_by_role("button", name="변경", exact=True).click()
    await live(page)
    await expect(other.get_by_label("학원 코드")).to_be_visible()
    for one in (page, other):
        await one.context.close()
    system.shell(
        "from apps.core.models import User; found = User.objects.get(tenant__code='saebom', username='teacher'); "
        f"found.set_password('{PASSWORD}'); found.save()"
    )
    system.forget_tokens()  # the change revoked them


async def test_a_phone_shows_the_whole_name_and_a_low_window_the_buttons_of_the_dialog(
    browser: Browser, system: System
) -> None:
    account = {"tenant": "saebom", "username": "staff", "password": PASSWORD}
    page = await signed_in(browser, system, "staff", user_agent=PHONE)
    async with httpx.AsyncClient(base_url=system.address, headers={"User-Agent": PHONE}, timeout=30) as client:
        for _ in range(7):  # other devices, which need no page
            assert (await client.post("/api/v1/auth/token/", json=account)).status_code == 200
            client.cookies.clear()
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.get_by_role("button", name="English").click()
    assert await page.evaluate(
        "() => { const who = document.getElementById('who'); return who.scrollWidth <= who.clientWidth }"
    )
    for name, width in (("phone", 360), ("desk", 1280)):
        await page.set_viewport_size({"width": width, "height": 800})
        await picture(page, f"page-{name}")
        await page.get_by_role("button", name="Signed-in devices").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("listitem").nth(7)).to_be_attached()  # at least 8: other tests sign in too
        await picture(page, f"dialog-{name}")
        for button in ("Change your password", "Sign out all other devices"):
            await expect(dialog.get_by_role("button", name=button)).to_be_in_viewport(ratio=1)
        await page.keyboard.press("Escape")
    await page.context.close()


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for people to look at, if `SIGN_INS_PICTURES` names a folder."""
    if folder := os.environ.get("SIGN_INS_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png")


async def test_the_message_that_the_server_is_away_disappears_when_it_answers_again(
    browser: Browser, system: System
) -> None:
    page = await signed_in(browser, system, "staff")
    await page.get_by_role("link", name="명단 가져오기").click()
    await page.context.set_offline(True)
    await page.get_by_role("button", name="샘플로 해 보기").click()
    await expect(page.locator("#import-problem")).to_contain_text("서버에 연결할 수 없습니다")
    await page.context.set_offline(False)
    await live(page)
    await expect(page.locator("#import-problem")).to_be_empty()
    await page.context.close()
