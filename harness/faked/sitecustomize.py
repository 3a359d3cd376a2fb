"""Makes `time.sleep` work under libfaketime, for each Python that starts with this folder on PYTHONPATH.

Python sleeps until a time of the monotonic clock, which libfaketime 0.9.10 shifts although its options forbid it.
"""

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = sleep
