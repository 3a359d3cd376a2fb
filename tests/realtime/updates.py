"""Updates as the rules see them."""

from realtime.pacing import progress_update
from realtime.record import Progress, Step
from realtime.throttle import Update


def update(
    number: int = 0, *, topic: str = "job:a", attempt: int = 1, step: Step | None = None, milestone: bool = False
) -> Update:
    """The number stands in its data."""
    return progress_update(7, topic, attempt, Progress(1.0, step), data={"number": number}, milestone=milestone)
