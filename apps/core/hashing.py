"""Hashes passwords in the web process, in a few separate threads with a short queue before them.

A hash takes a large part of a second of CPU time. The queue keeps a flood of sign-ins from slowing everything else: a
waiting request holds no database connection, and at most `MAX_WAITING` requests wait.

The queue is fair. When a request joins the queue, the waiting and running requests are counted: those of its tenant,
those of its address, and those of its user. The largest of the three counts is the request's rank. The rank of a
sign-in from a known address is the count of its address alone. The lowest rank is served first. Among equal ranks,
sign-ins from known addresses come first, and then the order of arrival decides. Addresses are compared as the limits on
signing in compare them (`network_of`), and all tenants that do not exist count as one.

So a flood from one tenant, address or user waits behind the first request of everybody else. When the queue is full,
the last request in this order is refused.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from rest_framework.exceptions import APIException

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.connections import give_back_connection
from academy.passwords import compare_password
from apps.core.models import User
from apps.core.throttling import network_of

T = TypeVar("T")

UNKNOWN_TENANT = "\0"
"""Used as the code of every tenant that does not exist. PostgreSQL cannot store this text, so no tenant has it."""
MAX_WAITING = 32
PATIENCE_SECONDS = 20.0


class HashingBusyError(APIException):
    """503: too many passwords wait to be checked. The password of this request was not checked."""

    status_code = 503
    default_code = "busy"
    default_detail = "Too many people are signing in at this moment: try again in a few seconds."
    wait = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The tenant, address and user of a request. The queue uses them to decide which request is next."""

    tenant: str
    address: str
    known: bool = False
    """True for a sign-in from an address from which the account signed in recently. Only requests from the same
    address count for the rank of such a sign-in."""
    user: int | None = None
    """The user who is signed in, or None. Requests of one user count together, from all addresses."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", network_of(self.address))

    @classmethod
    def of_sign_in(cls, tenant_code: str, address: str, *, known: bool = False) -> "Origin":
        """Return the origin of a sign-in, whose tenant need not exist. Makes a database query."""
        exists = repositories_core.find_tenant_id(tenant_code) is not None
        return cls(tenant_code if exists else UNKNOWN_TENANT, address, known)


@dataclass(slots=True, eq=False)
class _Entry:
    work: Callable[[], Any]
    origin: Origin
    order: tuple[int, bool, int]
    future: "Future[Any]" = field(default_factory=Future)


class HashingLine:
    """The queue and its threads. The threads start with the first requests and end with the process."""

    def __init__(
        self, threads: int, max_waiting: int = MAX_WAITING, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._threads, self._max_waiting, self._patience = threads, max_waiting, patience_seconds
        self._changed = threading.Condition()
        self._waiting: list[_Entry] = []
        self._running: list[_Entry] = []
        self._number = 0
        self._started = 0

    def run(self, work: Callable[[], T], origin: Origin) -> T:
        """Call `work` in one of the threads and return its result. Raises the errors of `work`.

        Raises HashingBusyError if the queue is full or the wait is too long. The caller's database connections are
        closed first, so call this outside `atomic()`.
        """
        give_back_connection()
        entry = self._join(work, origin)
        try:
            return entry.future.result(self._patience)  # type: ignore[no-any-return]
        except TimeoutError:
            if entry.future.cancel():
                self._leave(entry)
                raise HashingBusyError from None
            return entry.future.result()  # type: ignore[no-any-return]

    def _join(self, work: Callable[[], Any], origin: Origin) -> _Entry:
        with self._changed:
            self._number += 1
            entry = _Entry(work, origin, (self._rank(origin), not origin.known, self._number))
            self._waiting.append(entry)
            if len(self._waiting) > self._max_waiting:
                last = max(self._waiting, key=lambda waiting: waiting.order)
                self._waiting.remove(last)
                if last.future.set_running_or_notify_cancel():  # False if the caller has just given up
                    last.future.set_exception(HashingBusyError())
            if self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._work, name=f"hashing-{self._started}", daemon=True).start()
            self._changed.notify()
        return entry

    def _rank(self, origin: Origin) -> int:
        others = [entry.origin for entry in (*self._waiting, *self._running)]
        of_address = sum(other.address == origin.address for other in others)
        if origin.known:
            return of_address
        of_tenant = sum(other.tenant == origin.tenant for other in others)
        of_user = sum(other.user == origin.user for other in others if other.user is not None)
        return max(of_address, of_tenant, of_user)

    def _leave(self, entry: _Entry) -> None:
        with self._changed:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def _work(self) -> None:
        while True:
            entry = self._next()
            if entry.future.set_running_or_notify_cancel():
                try:
                    entry.future.set_result(entry.work())
                except BaseException as problem:  # noqa: BLE001 - the caller's thread raises it
                    entry.future.set_exception(problem)
            with self._changed:
                self._running.remove(entry)

    def _next(self) -> _Entry:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            entry = min(self._waiting, key=lambda waiting: waiting.order)
            self._waiting.remove(entry)
            self._running.append(entry)
            return entry


def password_is_right(user: User | None, password: str, origin: Origin) -> bool:
    """Return whether the password is the user's. If it is right and its hash is outdated, renew the hash.

    The comparison waits in the queue, without a database connection. If `user` is None, it takes as long as for a wrong
    password. Raises HashingBusyError if the queue is full or the wait is too long.
    """
    password_hash = user.password if user else None
    compared = hashing().run(lambda: compare_password(password, password_hash), origin)
    if user is not None and compared.new_hash is not None:
        repositories_core.renew_hash(user, compared.new_hash)
    return compared.right


@cache
def hashing() -> HashingLine:
    """Return the queue of this process. It has `PASSWORD_HASHING_THREADS` threads, or (if 0) one for each processor."""
    return HashingLine(settings.PASSWORD_HASHING_THREADS or len(os.sched_getaffinity(0)))
