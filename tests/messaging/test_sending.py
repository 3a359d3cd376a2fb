"""Sending messages: each reaches its recipient at most once, whatever the response and whichever worker sends."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from academy import jobs
from academy.adapters.db.django import repositories_messages
from academy.adapters.messages.rate import message_rate
from academy.domain.messages import OUTCOME_UNKNOWN, To
from apps.domains.ai.models import AIJob
from apps.domains.messaging.models import Message
from apps.worker.messaging_worker import bulk_message, health
from tests.messaging.conftest import PATIENCE_SECONDS, PHONE, MessagingBench
from tests.messaging.gateway import Gateway
from tests.messaging.gateway import Message as Sent

SENT, PENDING = ("SENT", ""), ("PENDING", "")
REFUSED, UNKNOWN = ("FAILED", "refused"), ("FAILED", "outcome_unknown")


def test_each_recipient_gets_the_text_once_and_the_result_counts_them(bench: MessagingBench, gateway: Gateway) -> None:
    students = [bench.student("김하나", "01011110001"), bench.student("이두나", "01011110002")]
    job_id = bench.write("{name} 학생, 내일 {휴강}입니다.", *students)
    bench.handle_next()
    assert [(message["to"], message["text"]) for message in gateway.received] == [
        ("01011110001", "김하나 학생, 내일 {휴강}입니다."),
        ("01011110002", "이두나 학생, 내일 {휴강}입니다."),
    ]
    assert bench.state(job_id) == ("DONE", 1)
    assert bench.result(job_id) == {"sent": 2, "failed": 0, "total": 2}
    assert bench.record(job_id)["data"] == {"job_type": "bulk_message", "result": bench.result(job_id)}


def test_a_parent_of_two_students_gets_a_message_for_each(bench: MessagingBench, gateway: Gateway) -> None:
    bench.write("{name}", bench.student("김나나", PHONE), bench.student("김다다", PHONE))
    bench.handle_next()
    assert [(message["to"], message["text"]) for message in gateway.received] == [
        (PHONE, "김나나"),
        (PHONE, "김다다"),
    ]


def test_a_recipient_without_a_phone_number_is_reported_as_failed(bench: MessagingBench, gateway: Gateway) -> None:
    job_id = bench.write("{name}", bench.student(), bench.student(phone=PHONE), bench.student(), to=To.STUDENT)
    bench.handle_next()
    assert bench.outcomes(job_id) == [("FAILED", "no_phone"), SENT, ("FAILED", "no_phone")]
    assert [message["to"] for message in gateway.received] == [PHONE]
    assert bench.result(job_id) == {"sent": 1, "failed": 2, "total": 3}


def test_a_refused_message_does_not_stop_the_others(bench: MessagingBench, gateway: Gateway) -> None:
    gateway.answer = lambda message: 422 if message["text"] == "학생2" else 202
    job_id = bench.write_to_new(3)
    bench.handle_next()
    assert bench.outcomes(job_id) == [SENT, REFUSED, SENT]
    assert bench.result(job_id) == {"sent": 2, "failed": 1, "total": 3}
    assert bench.state(job_id) == ("DONE", 1)


def test_a_message_with_an_unknown_outcome_is_not_sent_again(bench: MessagingBench, gateway: Gateway) -> None:
    gateway.answer = lambda message: 0 if message["text"] == "학생1" else 202
    job_id = bench.write_to_new(2)
    bench.handle_next()
    assert bench.outcomes(job_id) == [UNKNOWN, SENT]
    assert Message.objects.get(status="FAILED").error == OUTCOME_UNKNOWN
    assert len(gateway.received) == 2


def test_a_short_outage_of_the_provider_loses_no_message(bench: MessagingBench, gateway: Gateway) -> None:
    gateway.answer = lambda _message: 503 if len(gateway.received) < 3 else 202
    job_id = bench.write_to_new(2)
    bench.handle_next()
    assert bench.outcomes(job_id) == [SENT, SENT]
    assert bench.state(job_id) == ("DONE", 1)
    assert [message["text"] for message in gateway.received] == ["학생1", "학생1", "학생1", "학생2"]


def test_after_a_long_outage_of_the_provider_the_next_attempt_sends_everything(
    bench: MessagingBench, gateway: Gateway, settings: Settings
) -> None:
    settings.MESSAGE_HTTP_URL = "http://127.0.0.1:1/"
    job_id = bench.write_to_new(2)
    bench.handle_next()
    assert bench.state(job_id) == ("PENDING", 2)
    assert bench.outcomes(job_id) == [PENDING, PENDING]
    settings.MESSAGE_HTTP_URL = gateway.url
    bench.handle_next()
    assert (bench.state(job_id), bench.outcomes(job_id)) == (("DONE", 2), [SENT, SENT])
    assert len(gateway.received) == 2


def test_a_job_whose_provider_stays_away_fails_and_can_be_retried(bench: MessagingBench, gateway: Gateway) -> None:
    gateway.answer = lambda _message: 503
    job_id = bench.write_to_new(1)
    for _ in range(3):
        bench.handle_next()
    assert (bench.state(job_id), bench.outcomes(job_id)) == (("FAILED", 3), [PENDING])
    gateway.answer = lambda _message: 202
    jobs.retry(bench.tenant.pk, job_id)
    bench.handle_next()
    assert (bench.state(job_id), bench.outcomes(job_id)) == (("DONE", 4), [SENT])


def test_a_provider_that_never_confirms_a_message_does_not_get_all_of_them(
    bench: MessagingBench, gateway: Gateway
) -> None:
    gateway.answer = lambda _message: 500
    job_id = bench.write_to_new(20)
    bench.handle_next()
    failures = len(health.PAUSES) + 1
    assert bench.outcomes(job_id) == [UNKNOWN] * failures + [PENDING] * (20 - failures)
    assert bench.state(job_id) == ("PENDING", 2)


def test_a_message_that_an_earlier_attempt_left_claimed_is_not_sent_again(
    bench: MessagingBench, gateway: Gateway
) -> None:
    job_id = bench.write_to_new(3)
    first = Message.objects.order_by("id")[0]
    Message.objects.filter(pk=first.pk).update(status="CLAIMED")
    bench.handle_next()
    assert bench.outcomes(job_id) == [UNKNOWN, SENT, SENT]
    assert [message["text"] for message in gateway.received] == ["학생2", "학생3"]
    assert bench.result(job_id) == {"sent": 2, "failed": 1, "total": 3}


def test_a_superseded_attempt_sends_nothing_more_but_saves_what_it_sent(
    bench: MessagingBench, gateway: Gateway
) -> None:
    def overtake(_message: object) -> int:
        AIJob.objects.update(attempt=2)
        connection.close()
        return 202

    gateway.answer = overtake
    job_id = bench.write_to_new(3)
    bench.handle_next()
    assert bench.outcomes(job_id) == [SENT, PENDING, PENDING]
    assert (len(gateway.received), bench.state(job_id)) == (1, ("PROCESSING", 2))


def test_a_late_outcome_from_a_slow_attempt_changes_nothing(bench: MessagingBench, gateway: Gateway) -> None:
    """The next attempt has already saved and counted the message's outcome as unknown."""

    def decide_meanwhile(_message: object) -> int:
        Message.objects.filter(status="CLAIMED").update(status="FAILED", code="outcome_unknown")
        connection.close()
        return 202

    gateway.answer = decide_meanwhile
    job_id = bench.write_to_new(1)
    bench.handle_next()
    assert bench.outcomes(job_id) == [UNKNOWN]


def test_a_short_outage_of_the_database_loses_no_outcome(
    bench: MessagingBench, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, failures = repositories_messages.save_sent, iter([OperationalError("gone"), OperationalError("gone")])

    def fail_twice(message: Message) -> None:
        for failure in failures:
            raise failure
        save(message)

    monkeypatch.setattr(repositories_messages, "save_sent", fail_twice)
    monkeypatch.setattr(bulk_message, "SAVE_PAUSE_SECONDS", 0.0)
    job_id = bench.write_to_new(1)
    bench.handle_next()
    assert bench.outcomes(job_id) == [SENT]
    assert len(gateway.received) == 1


def handled_aside(bench: MessagingBench) -> threading.Thread:
    def handle() -> None:
        bench.handle_next()
        connection.close()

    thread = threading.Thread(target=handle)
    thread.start()
    return thread


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_cancelling_stops_within_half_a_second_and_keeps_the_sent_messages(
    bench: MessagingBench, gateway: Gateway, settings: Settings
) -> None:
    settings.MESSAGE_RATE_PER_MINUTE = 1  # the second message has to wait for a minute
    message_rate.cache_clear()
    job_id = bench.write_to_new(3)
    thread = handled_aside(bench)
    wait_until(lambda: bench.outcomes(job_id)[0] == SENT)
    cancelled_at = time.monotonic()
    jobs.cancel(bench.tenant.pk, job_id)
    thread.join()
    # A busy machine may need more than half a second. Without the cancellation, the job would wait for a minute.
    assert bulk_message.LOOK_SECONDS <= 0.5
    assert time.monotonic() - cancelled_at < 30
    assert bench.outcomes(job_id) == [SENT, PENDING, PENDING]
    settings.MESSAGE_RATE_PER_MINUTE = 6000
    message_rate.cache_clear()
    jobs.retry(bench.tenant.pk, job_id)
    while bench.state(job_id)[0] != "DONE":
        bench.handle_next()
    assert bench.result(job_id) == {"sent": 3, "failed": 0, "total": 3}
    assert [message["text"] for message in gateway.received] == ["학생1", "학생2", "학생3"]


def test_a_stopping_worker_gives_back_a_job_that_it_cannot_finish_in_time(
    bench: MessagingBench, gateway: Gateway, settings: Settings
) -> None:
    settings.MESSAGE_RATE_PER_MINUTE = 1
    message_rate.cache_clear()
    job_id = bench.write_to_new(3)
    thread = handled_aside(bench)
    wait_until(lambda: bench.outcomes(job_id)[0] == SENT)
    bench.stopping.ask()
    thread.join()
    assert (bench.state(job_id), bench.outcomes(job_id)) == (("PENDING", 2), [SENT, PENDING, PENDING])


def test_progress_shows_how_many_were_sent_and_the_remaining_time(
    bench: MessagingBench, gateway: Gateway, settings: Settings
) -> None:
    settings.MESSAGE_RATE_PER_MINUTE = 30
    message_rate.cache_clear()
    looked = threading.Event()

    def answer(message: Sent) -> int:
        if message["text"] == "학생3":
            looked.wait(PATIENCE_SECONDS)
        return 422 if message["text"] == "학생1" else 202

    gateway.answer = answer
    job_id = bench.write_to_new(4)
    began_at = time.monotonic()
    thread = handled_aside(bench)
    wait_until(lambda: progress_of(bench, job_id) == (50.0, {"sent": 1, "failed": 1, "total": 4}))
    remaining = bench.record(job_id)["progress"]["remaining_seconds"]
    longest = max(5.0, time.monotonic() - began_at)  # on a busy machine the first two messages may be slower
    jobs.cancel(bench.tenant.pk, job_id)
    looked.set()
    thread.join()
    assert 3.0 <= remaining <= longest  # two messages remain, at two seconds each


def progress_of(bench: MessagingBench, job_id: UUID) -> tuple[float, dict[str, int]] | None:
    record = bench.record(job_id)
    if record["progress"] is None:
        return None
    return record["progress"]["percent"], {name: record["data"].get(name, 0) for name in ("sent", "failed", "total")}
