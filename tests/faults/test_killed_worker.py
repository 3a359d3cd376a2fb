"""The worker gets `kill -9` or SIGTERM during an import: the result equals that of an undisturbed run."""

import ctypes
import signal
from pathlib import Path
from typing import Any

import boto3

from academy.adapters.excel.sample import sample_workbook
from harness.slow_imports import slow_imports
from harness.system import System, eventually, import_workbook
from tests.contract.test_fair_turns import begun

ROWS = """
    SELECT line, outcome, code, r.name, s.parent_phone
    FROM aijob_row r JOIN aijob j ON j.id = r.job_id LEFT JOIN students s ON s.id = r.student_id
    WHERE j.job_id = %s ORDER BY line
"""
TWINS = """
    SELECT name, parent_phone FROM students WHERE tenant_id = (SELECT tenant_id FROM aijob WHERE job_id = %s)
    GROUP BY 1, 2 HAVING count(*) > 1
"""
RESULT = "SELECT result FROM aijob_result r JOIN aijob j ON j.id = r.job_id WHERE j.job_id = %s"


def messages(system: System) -> dict[str, int]:
    """Return how many messages of the worker's queue wait (`shown`), and how many a worker has received (`hidden`)."""
    sqs = boto3.client("sqs", "ap-northeast-2", endpoint_url=system.environment["SQS_ENDPOINT_URL"])
    url = sqs.get_queue_url(QueueName=f"{system.name}-ai")["QueueUrl"]
    names: Any = {"shown": "ApproximateNumberOfMessages", "hidden": "ApproximateNumberOfMessagesNotVisible"}
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names.values()))["Attributes"]
    sqs.close()
    return {word: int(found[name]) for word, name in names.items()}


async def undisturbed(system: System, workbook: bytes) -> str:
    async with system.client("saebom") as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, workbook)
        await watcher.until_terminal(f"job:{job_id}")
    return job_id


async def test_after_kill_9_of_the_worker_counts_and_rows_equal_those_of_an_undisturbed_run(own_system: System) -> None:
    workbook = sample_workbook(2000, seed=3)
    async with own_system.client("hanbit") as client, await own_system.watcher(client) as watcher:
        with slow_imports(own_system):
            job_id = await import_workbook(client, workbook)
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 20)
            own_system.worker.kill()
        half = len(own_system.query(ROWS, job_id))
        own_system.worker.start()
        done = await watcher.until_terminal(f"job:{job_id}")
    other_id = await undisturbed(own_system, workbook)
    (other,) = own_system.query(RESULT, other_id)
    assert 0 < half < 2000
    assert (done["status"], done["attempt"]) == ("DONE", 2)
    assert done["data"]["result"] == other[0]
    assert own_system.query(ROWS, job_id) == own_system.query(ROWS, other_id)
    assert own_system.query(TWINS, job_id) == []


async def test_on_sigterm_a_worker_finishes_its_running_job(own_system: System) -> None:
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(2000, seed=4))
        await eventually(lambda: begun(own_system.worker.log_file) == [job_id], what="the worker to begin the job")
        own_system.worker.stop(timeout=60)
        assert own_system.worker.child is not None
        done = await watcher.until_terminal(f"job:{job_id}")
    assert (done["status"], done["attempt"]) == ("DONE", 1)
    assert own_system.query("SELECT status FROM aijob WHERE job_id = %s", job_id) == [("DONE",)]


def test_a_sigterm_that_the_kernel_gives_to_another_thread_ends_the_worker(own_system: System) -> None:
    pid = own_system.worker.pid
    assert pid is not None
    thread = next(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir() if int(path.name) != pid)
    assert ctypes.CDLL(None).tgkill(pid, thread, signal.SIGTERM) == 0
    child = own_system.worker.child
    assert child is not None
    assert child.wait(60)
    assert child.code == 0


async def test_on_sigterm_a_long_import_is_given_back_before_the_stop_timeout(
    own_system: System,
) -> None:
    own_system.worker.environment = {**own_system.worker.environment, "WORKER_DRAIN_SECONDS": "0.2"}
    own_system.worker.restart()
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        with slow_imports(own_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=6))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 20)
            own_system.worker.stop(timeout=60)
        assert messages(own_system) == {"shown": 1, "hidden": 0}, (
            own_system.worker.log_file.read_text()
        )  # the worker's last poll did not receive the message again
        await watcher.until(lambda: watcher.records[f"job:{job_id}"]["attempt"] == 2)
        waiting = watcher.records[f"job:{job_id}"]["status"]
        half = len(own_system.query(ROWS, job_id))
        own_system.worker.start()
        done = await watcher.until_terminal(f"job:{job_id}")
    assert (waiting, 0 < half < 2000) == ("PENDING", True)
    assert (done["status"], done["attempt"]) == ("DONE", 2)
    assert own_system.query(TWINS, job_id) == []


async def test_the_relay_sends_a_job_whose_process_died_between_commit_and_send(own_system: System) -> None:
    """The rows of the outbox are marked as unsent, like those of a process that died between commit and send."""
    async with own_system.client() as client:
        own_system.worker.stop(timeout=60)
        job_id = await import_workbook(client, sample_workbook(50, seed=5))
        own_system.query(
            "UPDATE realtime_outbox SET sent_at = NULL, created_at = now() - interval '1 minute' RETURNING id"
        )
        own_system.redis.command("FLUSHALL")
        async with await own_system.watcher(client) as watcher:
            await watcher.read_until("snapshot")
            own_system.worker.start()
            done = await watcher.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"
    unsent = "SELECT count(*) FROM realtime_outbox WHERE sent_at IS NULL"
    await eventually(lambda: own_system.query(unsent) == [(0,)], what="the relay to send every row")
