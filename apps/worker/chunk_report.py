"""Reports the progress of a job that processes rows in chunks."""

import time

from apps.worker.handlers import JobProgress

LAST_PERCENT = 99.0
"""The highest progress of a running job, in percent. 100 means DONE."""


class ChunkReport:
    """Reports progress after each chunk, and estimates the remaining seconds from the pace so far.

    `begin_percent` is the progress before the first chunk. Call the instance after each chunk, with the number of rows
    that are done and the number of all rows. A call may raise the errors of `JobProgress.go_on`.
    """

    def __init__(self, progress: JobProgress, step: str, begin_percent: float = 0.0) -> None:
        self._progress = progress
        self._step, self._begin_percent = step, begin_percent
        self._started = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        share = done / total
        percent = min(LAST_PERCENT, self._begin_percent + share * (100 - self._begin_percent))
        remaining = self._remaining(done, total)
        self._progress.report(
            self._step,
            percent,
            step_percent=100 * share,
            remaining=remaining,
            counts={"rows_done": done, "rows_total": total},
            milestone=True,
        )
        if done < total:
            self._progress.go_on(remaining or 0.0)

    def _remaining(self, done: int, total: int) -> float | None:
        if self._first is None:
            # Measure the pace from here on: `done` includes the rows of earlier attempts and the first chunk.
            self._first, self._started = done, time.monotonic()
            return None
        pace = (time.monotonic() - self._started) / max(1, done - self._first)
        return round(pace * (total - done), 1)
