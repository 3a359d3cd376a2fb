"""The job of a bulk message: claims each message, sends it, and saves its outcome. No message is ever sent twice.

docs/explanation/at-most-once.md explains what happens if a worker dies while it sends.
"""

import heapq
import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.connections import give_back_connection
from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    ProviderUnavailableError,
)
from academy.adapters.messages.rate import message_rate
from academy.domain.jobs import ClaimedJob
from academy.domain.messages import OUTCOME_UNKNOWN, MessageCode
from apps.domains.messaging.models import Message
from apps.worker.handlers import Handler, JobProgress
from apps.worker.messaging_worker.health import Health
from apps.worker.messaging_worker.lanes import LANES, Lanes
from apps.worker.messaging_worker.sending_report import SendingReport

log = structlog.get_logger(__name__)

STEPS = ("send",)
LOOK_SECONDS = 0.1
IDLE_SECONDS = 1.0
"""The database connection is given back after this time without a query."""
SAVE_TRIES, SAVE_PAUSE_SECONDS = 10, 1.0


def send_messages(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
    """Send the messages of a job, and return `{"sent", "failed", "total"}`.

    Raises ProviderUnavailableError if some messages must wait for another attempt.
    """
    repositories_messages.fail_claimed_messages(job)
    report = SendingReport(progress, _totals(job))
    with closing(Lanes()) as lanes:
        _Sending(job, lanes, report).run()
    return _totals(job).as_result()


def _totals(job: ClaimedJob) -> repositories_messages.MessageTotals:
    return repositories_messages.totals_of(job.tenant_id, [job.job_id])[job.job_id]


class _Sending:
    """One attempt of the job. If the provider does not accept a message, others are sent while that message waits."""

    def __init__(self, job: ClaimedJob, lanes: Lanes, report: SendingReport) -> None:
        self._job, self._lanes, self._report = job, lanes, report
        self._health = Health()
        self._claimed_up_to: int | None = 0
        self._waiting: list[tuple[float, int]] = []  # when each message is due, and its id
        self._set_aside: ProviderUnavailableError | None = None
        self._token_at = self._quiet_until = self._used_at = 0.0
        self._has_token = False

    def run(self) -> None:
        """Send messages until none is left.

        Raises ProviderUnavailableError if some messages must wait for another attempt, and the errors of
        `JobProgress.go_on`.
        """
        try:
            while self._is_unfinished:
                self._report.go_on()
                started = self._start_next()
                self._note_ended(0.0 if started else LOOK_SECONDS)
        finally:
            # Save the outcomes even after an error, because no other process has them.
            for message, problem in self._lanes.ended(None):
                self._save(message, problem)
        if self._set_aside is not None:
            raise self._set_aside

    @property
    def _is_unfinished(self) -> bool:
        return bool(self._lanes or self._waiting or self._claimed_up_to is not None)

    def _start_next(self) -> bool:
        """Claim a message and start sending it. Return False if no message can be claimed, or none may be sent now."""
        now = time.monotonic()
        if len(self._lanes) >= self._health.lanes(LANES) or now < max(self._quiet_until, self._token_at):
            return False
        due = bool(self._waiting) and self._waiting[0][0] <= now
        if not due and self._claimed_up_to is None:
            return False
        if not self._take_token(now):
            return False
        message = self._claim(due=due)
        self._used_at = time.monotonic()
        if message is not None:
            self._has_token = False
            self._lanes.send(message, f"{self._job.job_id}-{message.pk}")
        return message is not None

    def _take_token(self, now: float) -> bool:
        if not self._has_token:
            seconds = message_rate().take(self._job.tenant_id)
            self._token_at, self._has_token = now + seconds, not seconds
        return self._has_token

    def _claim(self, *, due: bool) -> Message | None:
        if due:
            _, message_id = heapq.heappop(self._waiting)
            return repositories_messages.claim_message(self._job, message_id)
        message = repositories_messages.claim_next_message(self._job, after=self._claimed_up_to or 0)
        self._claimed_up_to = message.pk if message is not None else None
        return message

    def _note_ended(self, seconds: float) -> None:
        """Wait up to `seconds` until a message is sent or fails, and save the outcomes of all that were sent or failed.

        If no message is at the provider, wait up to `seconds` until the next message may be sent. If the provider is
        down, raise ProviderUnavailableError as soon as no message is at the provider any more.
        """
        if self._lanes:
            ended = self._lanes.ended(seconds)
        else:
            ended = []
            time.sleep(min(seconds, max(0.0, self._next_at - time.monotonic())))
        for message, problem in ended:
            self._save(message, problem)
            self._used_at = time.monotonic()
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            give_back_connection()
        if self._health.is_down and not self._lanes:
            raise ProviderUnavailableError("The provider takes no messages, or no longer says whether it does.")

    @property
    def _next_at(self) -> float:
        """The earliest time at which the next message may be sent, as a value of `time.monotonic`."""
        first = self._waiting[0][0] if self._waiting and self._claimed_up_to is None else 0.0
        return max(self._token_at, self._quiet_until, first)

    def _save(self, message: Message, problem: Exception | None) -> None:
        match problem:
            case None:
                _save_surely(lambda: repositories_messages.save_sent(message))
                self._health.note_answer()
                self._report.sent()
            case MessageRefusedError():
                reason = str(problem)
                _save_surely(lambda: repositories_messages.save_failed(message, MessageCode.REFUSED, reason))
                self._health.note_answer()
                self._report.failed()
            case OutcomeUnknownError():
                log.warning("message_outcome_unknown", error=str(problem))
                unknown = MessageCode.OUTCOME_UNKNOWN
                _save_surely(lambda: repositories_messages.save_failed(message, unknown, OUTCOME_UNKNOWN))
                self._health.note_unknown()
                self._report.failed()
            case ProviderUnavailableError():
                _save_surely(lambda: repositories_messages.release_message(message))
                self._put_off(message, problem)
            case _:
                raise problem
        self._quiet_until = time.monotonic() + self._health.pause

    def _put_off(self, message: Message, problem: ProviderUnavailableError) -> None:
        """Send the message again later or, after too many tries, only in the next attempt of the job."""
        seconds = self._health.note_refusal(message.pk)
        if self._health.refusals == 1:  # log once each time that the provider stops accepting messages
            log.warning("provider_unavailable", error=str(problem))
        if seconds == math.inf:
            self._set_aside = problem
        else:
            heapq.heappush(self._waiting, (time.monotonic() + seconds, message.pk))


def _save_surely(save: Callable[[], None]) -> None:
    """Call `save`. If the database cannot be reached, call it again: no other process has the outcome.

    After SAVE_TRIES calls in all, raise the last error.
    """
    for _ in range(SAVE_TRIES - 1):
        try:
            save()
        except (OperationalError, InterfaceError) as problem:
            log.warning("message_not_saved_yet", error=str(problem).strip())
            close_old_connections()
            time.sleep(SAVE_PAUSE_SECONDS)
        else:
            return
    save()


HANDLER = Handler(STEPS, send_messages)
