"""Tests of `manage.py deadletters`: it lists messages that were given up, sends them back, and deletes them."""

import io
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from academy import jobs, videos
from academy.adapters.queue import dead_letters
from academy.adapters.queue.sqs import VIDEO_QUEUE, SqsJobQueue, provision_queues, sqs_client
from academy.domain.jobs import ClaimedJob
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.models import Video
from apps.worker.handlers import JobProgress
from tests.worker.conftest import QUICK, Bench

Cured = list[bool]


def deadletters(*words: str) -> str:
    said = io.StringIO()
    call_command("deadletters", *words, stdout=said)
    return said.getvalue()


def ids(*words: str) -> list[str]:
    """Run `manage.py deadletters`, and return the ids of the listed letters."""
    lines = deadletters(*words).splitlines()
    return [line.split()[1] for line in lines if not line.startswith((" ", "There are no"))]


def put_letter(bench: Bench, body: str, queue: str = "", **attributes: str) -> None:
    """Put a message into the dead letters of a queue, as another program might. The default is the bench's queue."""
    name = f"{queue or bench.queue.name}-dead"
    sqs_client().send_message(
        QueueUrl=sqs_client().get_queue_url(QueueName=name)["QueueUrl"],
        MessageBody=body,
        MessageAttributes={key: {"DataType": "String", "StringValue": text} for key, text in attributes.items()},
    )


@pytest.fixture
def cured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Cured:
    """Create all queues and a handler of "test". Return a list: the handler raises while this list is empty."""
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)  # one receive finds all messages of the emulator
    provision_queues()
    saying: Cured = []

    def do(_job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        if not saying:
            raise RuntimeError("poison")
        return {"cured": True}

    bench.knows(do)
    return saying


def test_a_job_that_raised_each_time_is_listed_sent_back_and_done(bench: Bench, cured: Cured) -> None:
    job_id = bench.submit()
    for _ in range(3):
        bench.handle_next()
    assert bench.state(job_id) == ("FAILED", 3)
    listed = deadletters()
    (letter,) = ids()
    assert f"ai  {letter}  20" in listed
    assert f"  receives: 3  tenant {bench.tenant.code}, job {job_id}\n" in listed
    assert "\n    It could not be done, although it was tried several times.\n" in listed

    cured.append(True)
    assert deadletters("send-back", letter) == f"{letter}: job {job_id} is tried again, by a new message.\n"
    assert (bench.state(job_id), ids()) == (("PENDING", 4), [])
    assert bench.handle_next().receives == 1
    assert (bench.state(job_id), bench.waiting(), bench.dead()) == (("DONE", 4), 0, [])


def test_a_job_whose_workers_all_died_is_listed_sent_back_and_done(bench: Bench, cured: Cured) -> None:
    cured.append(True)
    job_id = bench.submit()
    bench.deliveries.handle(bench.received_often(QUICK.max_receives + 1))
    assert bench.state(job_id) == ("FAILED", 1)
    assert "receives: 4  " in deadletters()
    assert "Its worker died each time it was tried." in deadletters()
    deadletters("send-back", "--all")
    bench.handle_next()
    assert (bench.state(job_id), bench.dead()) == (("DONE", 2), [])


def test_listing_letters_does_not_hide_them_from_the_next_list(bench: Bench, cured: Cured) -> None:
    for number in range(25):
        put_letter(bench, f"letter {number}", reason=f"reason {number}")
    put_letter(bench, "without a reason")
    first = deadletters()
    assert [first.count(f"letter {number}\n    reason {number}\n") for number in range(25)] == [1] * 25
    assert f"without a reason\n    {dead_letters.NEVER_JUDGED}\n" in first
    assert deadletters() == first
    assert len(bench.dead()) == 10  # the most in one receive: the command has left none hidden


def test_a_long_or_odd_letter_is_shortened_to_a_line(bench: Bench, cured: Cured) -> None:
    put_letter(bench, "한" * 5000 + "\n")
    put_letter(bench, "a\nb\tc")
    listed = deadletters()
    assert "한" * 80 + "…\n" in listed
    assert "  a b c\n" in listed


@pytest.mark.parametrize("ending", ["DONE", "CANCELLED"])
def test_the_letter_of_a_job_that_ended_otherwise_stays(bench: Bench, cured: Cured, ending: str) -> None:
    job_id = bench.submit()
    bench.queue.move_to_dead_letters(bench.receive(), "reason")
    AIJob.objects.filter(job_id=job_id).update(status=ending)
    said = io.StringIO()
    with pytest.raises(CommandError, match="Not every letter could be sent back"):
        call_command("deadletters", "send-back", "--all", stdout=said)
    (letter,) = ids()
    assert said.getvalue() == f"{letter} stays: job {job_id} has ended: {ending}. Delete the letter.\n"
    assert (bench.state(job_id), bench.waiting()) == ((ending, 1), 0)


def test_the_letter_of_an_import_whose_password_was_erased_stays(bench: Bench, cured: Cured) -> None:
    job_id = bench.submit(password_hash="secret")
    for _ in range(3):
        bench.handle_next()
    with pytest.raises(CommandError):
        deadletters("send-back", "--all")
    assert (bench.state(job_id), len(ids()), bench.waiting()) == (("FAILED", 3), 1, 0)


def test_the_letter_of_a_job_that_has_not_ended_goes_back_unchanged(bench: Bench, cured: Cured) -> None:
    """The queue itself gave the message up, because all workers died before they could note a result."""
    cured.append(True)
    job_id = bench.submit()
    message = bench.receive()
    bench.queue.move_to_dead_letters(message, "reason")
    AIJob.objects.filter(job_id=job_id).update(status="PROCESSING")
    assert "went back to its queue as it is" in deadletters("send-back", "--all")
    assert bench.handle_next().body == message.body
    assert (bench.state(job_id), bench.dead()) == (("DONE", 2), [])


@pytest.mark.parametrize("body", ["no json", '{"job_id": "x"}', "absent", "foreign"])
def test_a_refused_letter_goes_back_unchanged_and_is_checked_again(bench: Bench, cured: Cured, body: str) -> None:
    job_id = uuid4() if body == "absent" else submitted_and_taken(bench) if body == "foreign" else None
    if job_id:
        body = json.dumps({"job_id": str(job_id), "job_type": "test", "tenant_id": bench.tenant.pk + 1})
    bench.send(body)
    bench.handle_next()
    (letter,) = ids()
    assert f"{letter}: went back to its queue as it is. " in deadletters("send-back", letter)
    assert (ids(), bench.handle_next().body) == ([], body)
    assert len(ids()) == 1


def submitted_and_taken(bench: Bench) -> UUID:
    job_id = bench.submit()
    bench.queue.delete(bench.receive())
    return job_id


def test_letters_are_deleted_by_their_ids_or_all_of_a_queue(bench: Bench, cured: Cured) -> None:
    for number in range(3):
        put_letter(bench, f"letter {number}")
    put_letter(bench, "a video's", SqsJobQueue(VIDEO_QUEUE).name)
    first, *others, video = ids()
    assert deadletters("delete", first) == f"{first}: deleted (letter 0).\n"
    assert ids() == [*others, video]
    assert (ids("--queue", "ai"), ids("--queue", "video"), ids("--queue", "messaging")) == (others, [video], [])
    assert deadletters("delete", "--all", "--queue", "ai").count("deleted") == 2
    assert ids() == [video]
    deadletters("delete", "--all")
    assert deadletters() == deadletters("delete", "--all") == "There are no dead letters.\n"


def test_an_unknown_id_is_reported_and_the_others_are_handled(bench: Bench, cured: Cured) -> None:
    put_letter(bench, "letter")
    with pytest.raises(CommandError, match="There is no dead letter nobody, nothing"):
        deadletters("delete", "nothing", *ids(), "nobody")
    assert ids() == []


@pytest.mark.parametrize("words", [["delete"], ["send-back"], ["--all"], ["delete", "x", "--all"], ["burn", "x"]])
def test_wrong_arguments_change_nothing(bench: Bench, cured: Cured, words: list[str]) -> None:
    put_letter(bench, "letter")
    with pytest.raises(CommandError):
        deadletters(*words)
    assert len(ids()) == 1


def test_missing_queues_are_reported_in_a_sentence(settings: Settings) -> None:
    settings.SQS_QUEUE_PREFIX = "nowhere"
    with pytest.raises(CommandError, match="The queue cannot be used: "):
        deadletters()


def test_a_video_is_tried_again(bench: Bench, cured: Cured) -> None:
    lecture = Lecture.objects.create(tenant=bench.tenant, title="Lecture")
    session = Session.objects.create(tenant=bench.tenant, lecture=lecture, title="Lesson")
    video = Video.objects.get(pk=videos.submit(bench.tenant.pk, session.pk, title="Video", source="a.mp4"))
    queue = SqsJobQueue(VIDEO_QUEUE)
    (message,) = queue.receive(1, 15)
    queue.move_to_dead_letters(message, "reason")
    Video.objects.filter(pk=video.pk).update(status="READY")
    with pytest.raises(CommandError):
        deadletters("send-back", "--all")
    Video.objects.filter(pk=video.pk).update(status="FAILED")
    assert f"video {video.pk} is tried again, by a new message." in deadletters("send-back", "--all")
    video.refresh_from_db()
    assert (video.status, video.attempt, ids()) == ("PENDING", 2, [])
    assert [again.body for again in queue.receive(1, 15)] == [message.body]


def test_a_retry_by_hand_meanwhile_makes_the_letter_harmless(bench: Bench, cured: Cured) -> None:
    job_id = bench.submit()
    for _ in range(3):
        bench.handle_next()
    cured.append(True)
    jobs.retry(bench.tenant.pk, job_id)
    deadletters("send-back", "--all")
    bench.handle_next()
    bench.handle_next()
    assert (bench.state(job_id), bench.waiting(), bench.dead()) == (("DONE", 4), 0, [])
