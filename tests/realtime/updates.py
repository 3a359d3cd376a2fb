"""Makes updates for the tests of the throttle and of the pacer."""

from realtime.publish.pacing import progress_update
from realtime.publish.throttle import Update
from realtime.records.record import Progress, Step


def update(
    number: int = 0, *, topic: str = "job:a", attempt: int = 1, step: Step | None = None, milestone: bool = False
) -> Update:
    """Return an update with this number in its data."""
    return progress_update(7, topic, attempt, Progress(1.0, step), data={"number": number}, milestone=milestone)
