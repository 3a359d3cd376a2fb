"""Lets `time.sleep` work below libfaketime, for each Python that starts with this folder on PYTHONPATH.

Python sleeps until a moment of the monotonic clock, which libfaketime 0.9.10 moves although it was told not to.
"""

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = sleep
