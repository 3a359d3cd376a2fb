"""Reports the progress of a bulk message: how many messages were sent, how many failed, and the remaining time."""

import time

from django.conf import settings

from academy.adapters.db.django.repositories_messages import MessageTotals
from apps.worker.chunk_report import LAST_PERCENT
from apps.worker.handlers import JobProgress


class SendingReport:
    """Counts sent and failed messages, including those of earlier attempts, and reports them.

    `go_on` raises the errors of `JobProgress.go_on`.
    """

    def __init__(self, progress: JobProgress, totals: MessageTotals) -> None:
        self._progress = progress
        self._sent, self._failed, self._total = totals.sent, totals.failed, totals.total
        self._left_at_first = totals.left
        self._started = time.monotonic()
        self._report()

    @property
    def left(self) -> int:
        return self._total - self._sent - self._failed

    def sent(self) -> None:
        self._sent += 1
        self._report()

    def failed(self) -> None:
        self._failed += 1
        self._report()

    def go_on(self) -> None:
        self._progress.go_on(self._remaining)

    @property
    def _remaining(self) -> float:
        """The remaining seconds at the pace of this attempt, or at the academy's rate limit if that is slower."""
        ended = self._left_at_first - self.left
        pace = (time.monotonic() - self._started) / ended if ended else 0.0
        return round(self.left * max(pace, 60 / settings.MESSAGE_RATE_PER_MINUTE), 1)

    def _report(self) -> None:
        share = 1 - self.left / self._total if self._total else 1.0
        self._progress.report(
            "send",
            min(LAST_PERCENT, 100 * share),
            step_percent=100 * share,
            remaining=self._remaining,
            counts={"sent": self._sent, "failed": self._failed, "total": self._total},
        )
