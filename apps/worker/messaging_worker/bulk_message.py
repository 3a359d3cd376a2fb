"""A bulk message as a job: each message is claimed, sent, and saved as what became of it. None is ever sent twice.

What happens when a worker dies in between, and why: docs/explanation/at-most-once.md.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.connections import give_back_connection
from academy.adapters.messages.choice import open_provider
from academy.adapters.messages.provider import (
    MessageRefusedError,
    OutcomeUnknownError,
    Outgoing,
    Provider,
    ProviderUnavailableError,
)
from academy.adapters.messages.rate import message_rate
from academy.domain.jobs import ClaimedJob
from academy.domain.messages import OUTCOME_UNKNOWN, MessageCode
from apps.domains.messaging.models import Message
from apps.worker.handlers import Handler, JobProgress
from apps.worker.messaging_worker.sending_report import SendingReport

log = structlog.get_logger(__name__)

STEPS = ("send",)
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds, after each failure of the provider in a row; after one more this attempt gives up."""
LOOK_SECONDS = 0.1
SAVE_TRIES, SAVE_PAUSE_SECONDS = 10, 1.0


def send_messages(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
    """`{"sent", "failed", "total"}`. Raises ProviderUnavailableError to be tried again."""
    repositories_messages.fail_claimed_messages(job)
    report = SendingReport(progress, _totals(job))
    with closing(open_provider()) as provider:
        _Sending(job, provider, report).run()
    return _totals(job).as_result()


def _totals(job: ClaimedJob) -> repositories_messages.MessageTotals:
    return repositories_messages.totals_of(job.tenant_id, [job.job_id])[job.job_id]


class _Sending:
    def __init__(self, job: ClaimedJob, provider: Provider, report: SendingReport) -> None:
        self._job, self._provider, self._report = job, provider, report
        self._failures = 0

    def run(self) -> None:
        """Until nothing is left. Raises what `JobProgress.go_on` raises."""
        while self._report.left:
            self._wait_for_turn()
            message = repositories_messages.claim_next_message(self._job)
            if message is None:
                return
            self._send(message)

    def _wait_for_turn(self) -> None:
        self._report.go_on()
        while seconds := message_rate().take(self._job.tenant_id):
            self._rest(seconds)

    def _send(self, message: Message) -> None:
        outgoing = Outgoing(f"{self._job.job_id}-{message.pk}", message.recipient, message.text)
        try:
            self._provider.send(outgoing)
        except MessageRefusedError as problem:
            reason = str(problem)
            _saved(lambda: repositories_messages.save_failed(message, MessageCode.REFUSED, reason))
            self._ended(sent=False)
        except OutcomeUnknownError as problem:
            log.warning("message_outcome_unknown", error=str(problem))
            _saved(lambda: repositories_messages.save_failed(message, MessageCode.OUTCOME_UNKNOWN, OUTCOME_UNKNOWN))
            self._report.failed()
            self._provider_failed(ProviderUnavailableError("The provider no longer says whether it takes messages."))
        except ProviderUnavailableError as problem:
            _saved(lambda: repositories_messages.release_message(message))
            self._provider_failed(problem)
        else:
            _saved(lambda: repositories_messages.save_sent(message))
            self._ended(sent=True)

    def _ended(self, *, sent: bool) -> None:
        """The provider is well, whatever it said of this message."""
        self._failures = 0
        if sent:
            self._report.sent()
        else:
            self._report.failed()

    def _provider_failed(self, problem: ProviderUnavailableError) -> None:
        """Waits, longer each time. Raises it if it has happened too often in a row."""
        if self._failures == len(PAUSES):
            raise problem
        log.warning("provider_unavailable", failures=self._failures + 1, error=str(problem))
        self._rest(PAUSES[self._failures])
        self._failures += 1

    def _rest(self, seconds: float) -> None:
        if seconds >= PAUSES[0]:
            give_back_connection()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            self._report.go_on()


def _saved(save: Callable[[], None]) -> None:
    """What became of a message is known here alone: a database that is away for a moment must not lose it."""
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
