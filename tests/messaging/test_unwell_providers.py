"""A provider refuses some messages for a while: it accepts no message twice, and the others are not delayed."""

import random
import threading
from collections import Counter

import pytest
from django.db import connection

from apps.domains.ai.models import AIJob
from apps.worker.messaging_worker import health
from apps.worker.messaging_worker.health import Health
from apps.worker.messaging_worker.lanes import LANES
from tests.messaging.conftest import MessagingBench
from tests.messaging.gateway import Gateway, Message

SENT, PENDING = ("SENT", ""), ("PENDING", "")
PATIENCE_SECONDS = 60


def test_a_provider_that_refuses_half_of_all_requests_gets_each_message_once_in_one_attempt(
    bench: MessagingBench, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PAUSES", (0.02, 0.04, 0.08, 0.08, 0.08, 0.08))
    chance, accepted, lock = random.Random(7), Counter[str](), threading.Lock()

    def answer(message: Message) -> int:
        with lock:
            if chance.random() < 0.5:
                return 503
            accepted[message["id"]] += 1
            return 202

    gateway.answer = answer
    job_id = bench.write_to_new(60)
    bench.handle_next()
    assert (bench.state(job_id), set(bench.outcomes(job_id))) == (("DONE", 1), {SENT})
    assert len(accepted) == 60
    assert set(accepted.values()) == {1}


def test_a_message_that_was_not_accepted_does_not_delay_the_others(
    bench: MessagingBench, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first message is refused until all others were sent."""
    monkeypatch.setattr(health, "PAUSES", (0.1,) * 6)
    gateway.answer = lambda message: 503 if message["text"] == "학생1" and len(texts(gateway)) < 8 else 202
    job_id = bench.write_to_new(8)
    bench.handle_next()
    assert (bench.state(job_id), bench.outcomes(job_id)) == (("DONE", 1), [SENT] * 8)


def texts(gateway: Gateway) -> set[str]:
    return {message["text"] for message in gateway.received}


def test_after_the_first_response_a_limited_number_of_requests_run_at_once(
    bench: MessagingBench, gateway: Gateway
) -> None:
    together = threading.Barrier(LANES)
    inside, most, lock = Counter[str](), [0], threading.Lock()

    def answer(message: Message) -> int:
        if message["text"] == "학생1":
            return 202
        with lock:
            inside["now"] += 1
            most[0] = max(most[0], inside["now"])
        together.wait(PATIENCE_SECONDS)
        with lock:
            inside["now"] -= 1
        return 202

    gateway.answer = answer
    job_id = bench.write_to_new(1 + 2 * LANES)
    bench.handle_next()
    assert bench.state(job_id) == ("DONE", 1)
    assert most[0] == LANES


def test_a_superseded_attempt_saves_the_outcomes_of_all_its_open_requests(
    bench: MessagingBench, gateway: Gateway
) -> None:
    together = threading.Barrier(LANES)

    def answer(message: Message) -> int:
        if message["text"] != "학생1" and together.wait(PATIENCE_SECONDS) == 0:
            AIJob.objects.update(attempt=2)
            connection.close()
            together.abort()
        return 202

    def overtaken_first(message: Message) -> int:
        try:
            return answer(message)
        except threading.BrokenBarrierError:
            return 202

    gateway.answer = overtaken_first
    job_id = bench.write_to_new(20)
    bench.handle_next()
    sent = len(gateway.received)
    assert 1 + LANES <= sent <= 1 + 2 * LANES
    assert Counter(bench.outcomes(job_id)) == {SENT: sent, PENDING: 20 - sent}
    assert bench.state(job_id) == ("PROCESSING", 2)


@pytest.mark.parametrize("seed", range(20))
def test_five_thousand_messages_survive_a_provider_that_refuses_half(seed: int) -> None:
    chance, state = random.Random(seed), Health()
    left = list(range(5000))
    while left:
        message = left.pop()
        if chance.random() < 0.5:
            state.note_answer()
        else:
            state.note_refusal(message)
            left.insert(0, message)
        assert not state.is_down


def test_a_provider_that_accepts_nothing_gets_single_messages_and_is_then_given_up() -> None:
    state = Health()
    state.note_answer()
    assert state.lanes(LANES) == LANES
    lanes = []
    while not state.is_down:
        state.note_refusal(1)
        lanes.append(state.lanes(LANES))
    assert lanes[LANES:] == [1] * (len(lanes) - LANES)
    assert state.pause == health.PAUSES[-1]


def test_a_provider_that_leaves_an_outcome_unknown_gets_single_messages_from_then_on() -> None:
    state = Health()
    state.note_answer()
    state.note_unknown()
    assert (state.lanes(LANES), state.pause) == (1, health.PAUSES[0])


def test_occasional_refusals_do_not_stop_other_messages() -> None:
    state = Health()
    for message in range(health.FREE_FAILURES):
        assert state.note_refusal(message) == health.PAUSES[0]
        assert state.pause == 0
