"""All waiting jobs end, even if a worker is killed, Redis is down, messages are lost, or a process dies."""

import boto3

from harness.system import System, eventually
from tests.contract.test_fair_turns import begun, submitted

MANY = 12


def unfinished(system: System) -> int:
    ((number,),) = system.query("SELECT count(*) FROM aijob WHERE status IN ('PENDING', 'PROCESSING')")
    return int(number)


async def all_done(system: System) -> None:
    await eventually(lambda: unfinished(system) == 0, 120, "the end of all jobs")
    assert system.query("SELECT DISTINCT status FROM aijob") == [("DONE",)]


async def test_a_killed_worker_and_an_outage_of_redis_leave_no_job_waiting(own_system: System) -> None:
    worker = own_system.worker
    async with own_system.client() as client:
        await submitted(client, MANY)
        await eventually(lambda: bool(begun(worker.log_file)))
        own_system.redis.kill()
        worker.kill()
        worker.start()
        await eventually(lambda: unfinished(own_system) < MANY // 2, 120, "the work without Redis")
        own_system.redis.start()
        own_system.redis.wait_ready()
        await all_done(own_system)


async def test_jobs_whose_messages_are_lost_are_sent_again(own_system: System) -> None:
    own_system.worker.stop()
    async with own_system.client() as client:
        await submitted(client, MANY)
    sqs = boto3.client("sqs", "ap-northeast-2", endpoint_url=own_system.environment["SQS_ENDPOINT_URL"])
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{own_system.name}-ai")["QueueUrl"])
    sqs.close()
    own_system.worker.start()
    await all_done(own_system)
    assert "message_sent_again" in own_system.worker.log_file.read_text()


async def test_jobs_get_their_turn_even_if_the_processes_that_would_give_it_died(own_system: System) -> None:
    own_system.query(
        "INSERT INTO aijob (job_id, tenant_id, job_type, status, attempt, payload, created_at, updated_at)"
        " SELECT gen_random_uuid(), tenant.id, 'student_export', 'PENDING', 1,"
        """ '{"file_name": "x.xlsx", "lecture_id": null, "search": null}', now(), now()"""
        " FROM tenant, generate_series(1, %s) RETURNING id",
        MANY,
    )
    await all_done(own_system)
