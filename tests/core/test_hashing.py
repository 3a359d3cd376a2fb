"""Tests of the queue of password hashes: it is bounded, fair, and holds no database connection."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from academy.adapters.db.django.repositories_core import create_tenant
from apps.core.hashing import HashingBusyError, HashingLine, Origin


class Gate:
    """A hashing queue with one thread, which is busy until the test opens the gate."""

    def __init__(self, max_waiting: int = 8, patience_seconds: float = 300.0) -> None:
        self.line = HashingLine(1, max_waiting, patience_seconds)
        self.done: list[str] = []
        self._opened = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        begun = threading.Event()
        self._submit(lambda: self._hold(begun), Origin("holder", "holder"))
        assert begun.wait(60)

    def join(self, name: str, origin: Origin) -> "Future[None]":
        """Let `name` join the queue. Wait until the queue has accepted or refused `name`, and return the future."""
        return self._submit(lambda: self.done.append(name), origin)

    def _submit(self, work: Callable[[], object], origin: Origin) -> "Future[None]":
        joined = threading.Event()
        inner = self.line._join

        def join_and_tell(*given: object) -> object:
            entry = inner(*given)  # type: ignore[arg-type]
            joined.set()
            return entry

        self.line._join = join_and_tell  # type: ignore[method-assign, assignment]
        future: Future[None] = self._pool.submit(self.line.run, work, origin)  # type: ignore[arg-type]
        assert joined.wait(60)
        self.line._join = inner  # type: ignore[method-assign]
        return future

    def _hold(self, begun: threading.Event) -> None:
        begun.set()
        self._opened.wait()

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        self.open()
        self._pool.shutdown()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.close()


def test_a_flood_from_one_address_waits_behind_somebody_elses_first_request(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin(f"academy {number}", "one address")) for number in range(5)]
    other = gate.join("other", Origin("saebom", "another address"))
    gate.open()
    for future in [*flood, other]:
        future.result(10)
    assert gate.done[:2] == ["flood 0", "other"]


def test_a_flood_from_one_household_of_ipv6_waits_behind_somebody_elses_first_request(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin(f"academy {number}", f"2001:db8::{number}")) for number in range(8)]
    other = gate.join("other", Origin("saebom", "2001:db8:0:1::1"))
    gate.open()
    other.result(10)
    with pytest.raises(HashingBusyError):
        flood[-1].result(10)
    assert gate.done[:2] == ["flood 0", "other"]


@pytest.mark.django_db(transaction=True)
def test_unknown_academies_share_one_place_in_the_queue(gate: Gate) -> None:
    create_tenant("saebom", "Saebom")
    made_up = [Origin.of_sign_in(f"academy {number}", f"192.0.2.{number}") for number in range(5)]
    flood = [gate.join(f"flood {number}", origin) for number, origin in enumerate(made_up)]
    other = gate.join("other", Origin.of_sign_in("saebom", "203.0.113.9"))
    gate.open()
    for future in [*flood, other]:
        future.result(10)
    assert gate.done[:2] == ["flood 0", "other"]


def test_a_flood_on_one_academy_waits_behind_another_academys_first_request(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin("hanbit", f"address {number}")) for number in range(5)]
    other = gate.join("other", Origin("saebom", "another address"))
    gate.open()
    for future in [*flood, other]:
        future.result(10)
    assert gate.done[:2] == ["flood 0", "other"]


def test_a_known_user_does_not_wait_for_the_crowd_of_their_academy(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin("hanbit", f"address {number}")) for number in range(5)]
    known = gate.join("known", Origin("hanbit", "their own address", known=True))
    gate.open()
    for future in [*flood, known]:
        future.result(10)
    assert gate.done[0] == "known"


def test_a_signed_in_user_with_many_addresses_waits_behind_another_academys_first_request(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin("hanbit", f"address {number}", user=7)) for number in range(5)]
    other = gate.join("other", Origin("saebom", "another address"))
    gate.open()
    for future in [*flood, other]:
        future.result(10)
    assert gate.done[:2] == ["flood 0", "other"]


def test_a_user_counts_once_for_any_academy_and_address(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin(f"academy {number}", f"at {number}", user=7)) for number in range(5)]
    other = gate.join("other", Origin("saebom", "another address", user=8))
    gate.open()
    for future in [*flood, other]:
        future.result(10)
    assert gate.done[:2] == ["flood 0", "other"]


def test_a_full_queue_drops_the_last_request_of_the_largest_sender(gate: Gate) -> None:
    flood = [gate.join(f"flood {number}", Origin("hanbit", "one address")) for number in range(8)]
    other = gate.join("other", Origin("saebom", "another address"))
    with pytest.raises(HashingBusyError):
        flood[-1].result(10)
    with pytest.raises(HashingBusyError):
        gate.join("one more", Origin("hanbit", "one address")).result(10)
    gate.open()
    for future in [*flood[:-1], other]:
        future.result(10)
    assert "other" in gate.done


def test_waiting_has_a_time_limit() -> None:
    gate = Gate(patience_seconds=0.05)
    with pytest.raises(HashingBusyError):
        gate.join("impatient", Origin("hanbit", "an address")).result(10)
    gate.close()
    assert gate.done == []


def test_errors_of_the_work_reach_its_caller(gate: Gate) -> None:
    gate.open()
    with pytest.raises(ZeroDivisionError):
        gate.line.run(lambda: 1 / 0, Origin("hanbit", "an address"))
    assert gate.line.run(lambda: 7, Origin("hanbit", "an address")) == 7


@pytest.mark.django_db(transaction=True)
def test_a_waiting_request_holds_no_database_connection(gate: Gate) -> None:
    gate.open()
    connection.ensure_connection()
    held = gate.line.run(lambda: connection.connection, Origin("hanbit", "an address"))
    assert held is None
    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
def test_hashing_inside_a_transaction_raises_an_error(gate: Gate) -> None:
    gate.open()
    with transaction.atomic(), pytest.raises(RuntimeError, match="outside atomic"):
        gate.line.run(lambda: 7, Origin("hanbit", "an address"))
