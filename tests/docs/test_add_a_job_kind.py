"""Tests the steps of the page "Add a kind of job" in a copy of the project, on real servers."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.home import PROJECT
from harness.system import System, eventually
from tests.docs.pages import blocks

PACKAGES = ("academy", "apps", "config", "realtime")
PAGE = "docs/how-to/add-a-job-kind.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a copy of the product, change it as the page says, and return its folder."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "manage.py", tmp_path)
    name, handler, dispatcher, _ = (blocks()[f"{PAGE}#python-{number}"] for number in range(1, 5))
    jobs = tmp_path / "academy" / "domain" / "jobs.py"
    jobs.write_text(jobs.read_text(encoding="utf-8") + name, encoding="utf-8")
    worker = tmp_path / "apps" / "worker" / "ai_worker"
    (worker / "student_count").mkdir()
    (worker / "student_count" / "__init__.py").write_text(handler, encoding="utf-8")
    (worker / "dispatcher.py").write_text(dispatcher, encoding="utf-8")
    return tmp_path


async def test_a_job_kind_added_as_the_page_says_does_its_job(own_system: System, project: Path) -> None:
    system = own_system
    # The system's worker has no handler for this kind, and would fail the job.
    system.worker.stop()
    environment = {**system.environment, "PYTHONPATH": str(project)}

    def manage(*words: str) -> str:
        return subprocess.check_output([sys.executable, "manage.py", *words], cwd=project, env=environment, text=True)

    def ended() -> bool:
        return system.query("SELECT status FROM aijob WHERE job_id = %s", job_id)[0][0] in {"DONE", "FAILED"}

    job_id = manage("shell", "-v", "0", "-c", blocks()[f"{PAGE}#python-4"]).split()[-1]
    command = [sys.executable, "-m", "apps.worker.ai_worker"]
    worker = await asyncio.create_subprocess_exec(*command, cwd=project, env=environment)
    try:
        await eventually(ended, 120)
    finally:
        worker.terminate()
        await asyncio.wait_for(worker.wait(), 60)
    ((status, result),) = system.query(
        "SELECT j.status, r.result FROM aijob j JOIN aijob_result r ON r.job_id = j.id WHERE j.job_id = %s", job_id
    )
    assert status == "DONE"
    assert sum(result["by_grade"].values()) >= 300
