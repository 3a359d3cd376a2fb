"""A job's own page: time line, result, failed rows and their file, cancel and retry."""

import csv
import io
import re
from pathlib import Path

import openpyxl
import psycopg
import pytest
from playwright.async_api import Page, expect

from academy.adapters.excel.sample import sample_workbook
from harness.slow_imports import slow_imports
from harness.system import System, import_workbook
from tests.page.console import Console, is_live, shows
from tests.page.test_imports import BAD, workbook, worker_held

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def line(page: Page) -> list[str]:
    return await page.locator("#job-line li span").all_text_contents()


async def test_the_time_line_says_who_began_it_its_attempts_and_steps_and_how_it_ended(
    console: Console, system: System
) -> None:
    async with system.client(username="staff") as client:
        with slow_imports(system):  # the page shows only the steps that it has seen
            with worker_held(system):
                job_id = await import_workbook(client, sample_workbook(2000, seed=51), name="가을학기.xlsx")
                page = await console.open(f"/jobs/{job_id}")
                await shows(page, "job")
                await expect(page.locator("#job-title")).to_have_text("가을학기.xlsx")
                await is_live(page)
            await expect(page.locator("#job-line")).to_contain_text("학생 등록 중")
    await expect(page.locator("#job-state")).to_have_text("완료")
    await expect(page.locator("#job-facts")).to_contain_text("걸린 시간")
    seen = await line(page)
    assert seen[0].startswith("작업 등록 · ")
    assert "차례가 되어 서버로 보냄" in seen
    assert seen[-1] == "완료"
    assert "학생 등록 중" in seen
    await page.reload()
    await expect(page.locator("#job-line li").last).to_contain_text("완료")
    counts = await page.locator("#job-result dt").all_text_contents()
    assert counts == ["새로 등록", "복원", "이미 있음", "실패"]


async def test_stalls_and_retries_are_added_while_one_looks(console: Console) -> None:
    console.publish("night:7", "PROCESSING", data={"title": "야간 정산"})
    page = await console.open("/jobs/night:7")
    await is_live(page)
    await expect(page.locator("#job-title")).to_have_text("야간 정산")
    console.publish("night:7", "PROCESSING", stalled=True)
    await expect(page.locator("#job-state")).to_have_text("멈춤 · 다시 시도할 예정입니다")
    console.publish("night:7", "PENDING", attempt=2)
    console.publish("night:7", "PROCESSING", attempt=2)
    console.publish("night:7", "FAILED", attempt=2, error={"code": "dead_letter", "message": "It failed."})
    await expect(page.locator("#job-state")).to_have_text("실패")
    await expect(page.locator("#job-failure")).to_contain_text("여러 번 시도했지만")
    seen = await line(page)
    assert seen[0] == "작업 등록"
    assert seen.index("멈춤 · 작업하던 서버에서 응답 없음") < seen.index("2번째 시도 시작")
    assert seen[-1] == "실패"
    await expect(page.get_by_role("button", name="다시 시도")).to_have_count(0)


async def test_an_import_is_cancelled_and_retried_on_its_page(console: Console, system: System) -> None:
    async with system.client() as client:
        with worker_held(system):
            job_id = await import_workbook(client, sample_workbook(600, seed=52), name="겨울학기.xlsx")
            page = await console.open(f"/jobs/{job_id}")
            await is_live(page)
            await page.get_by_role("button", name="겨울학기.xlsx 취소").press("Enter")
            await expect(page.locator("#job-state")).to_have_text("취소됨")
            await page.get_by_role("button", name="겨울학기.xlsx 다시 시도").press("Enter")
    await expect(page.locator("#job-state")).to_have_text("완료")
    await expect(page.locator("#job-facts")).to_contain_text(re.compile("시도[2-9]"))  # 3 if its worker was slow
    assert "2번째 시도 시작" in await line(page)


async def test_failed_rows_are_listed_with_reasons_and_their_file_can_be_corrected_and_imported(
    console: Console, system: System, tmp_path: Path
) -> None:
    sent = workbook("실패", good=5)
    async with system.client() as client:
        job_id = await import_workbook(client, sent["buffer"], name="실패.csv")
        page = await console.open(f"/jobs/{job_id}")
        await expect(page.locator("#job-state")).to_have_text("완료")
        await page.get_by_role("button", name=f"실패한 행 {BAD}개 보기").press("Enter")
        rows = page.locator("#job-rows tbody tr")
        await expect(rows).to_have_count(50)
        assert await rows.nth(1).locator("td").all_text_contents() == ["3", "전화없음1", "학부모 전화번호가 없습니다."]
        async with page.expect_download() as started:
            await page.get_by_role("button", name="고쳐서 다시 올릴 파일 받기").press("Enter")
        download = await started.value
        assert download.suggested_filename == "실패 실패한 행.xlsx"
        await download.save_as(tmp_path / "rows.xlsx")
        book = openpyxl.load_workbook(tmp_path / "rows.xlsx")
        sheet = book.worksheets[0]
        assert sheet.max_row == 1 + BAD
        assert [cell.value for cell in sheet[3]][-2:] == ["3", "학부모 전화번호가 없습니다."]
        for line in range(2, 2 + BAD):
            sheet.cell(line, 1, f"고침{line}")
            sheet.cell(line, 5, f"010-9999-{line:04d}")
        corrected = io.BytesIO()
        book.save(corrected)
        again = await import_workbook(client, corrected.getvalue(), name="고침.xlsx")
        await page.goto(f"{system.address}/jobs/{again}")
        await expect(page.locator("#job-state")).to_have_text("완료")
    counts = await page.locator("#job-result dd").all_text_contents()
    assert counts == [str(BAD), "0", "0", "0"]


async def test_a_teacher_and_whoever_comes_after_a_day_get_a_file_of_what_is_shown(
    console: Console, system: System, tmp_path: Path
) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, workbook("하루", good=5)["buffer"], name="하루.csv")
        await watcher.until_terminal(f"job:{job_id}")
    with psycopg.connect(system.database_url) as database:
        database.execute("UPDATE aijob SET finished_at = finished_at - interval '1 day' WHERE job_id = %s", [job_id])
    for username in ("owner", "teacher"):
        page = await console.open(f"/jobs/{job_id}", username)
        async with page.expect_download() as started:
            await page.get_by_role("button", name="고쳐서 다시 올릴 파일 받기").press("Enter")
        download = await started.value
        assert download.suggested_filename == "하루 실패한 행.csv"
        await download.save_as(tmp_path / "rows.csv")
        read = list(csv.reader(io.StringIO((tmp_path / "rows.csv").read_text("utf-8-sig"))))
        assert read[0] == ["이름", "학부모 전화", "행", "이유"]
        assert len(read) == 1 + BAD


async def test_the_file_of_an_export_is_downloaded_and_a_teacher_gets_none(console: Console, system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = (await client.post("/api/v1/students/export/", json={})).json()["job_id"]
        await watcher.until_terminal(f"job:{job_id}")
    page, teacher = await console.open(f"/jobs/{job_id}"), await console.open(f"/jobs/{job_id}", "teacher")
    async with page.expect_download() as started:
        await page.get_by_role("button", name="파일 내려받기").press("Enter")
    assert (await started.value).suggested_filename.endswith(".xlsx")
    await expect(teacher.locator("#job-state")).to_have_text("완료")
    await expect(teacher.get_by_role("button", name="파일 내려받기")).to_be_hidden()
