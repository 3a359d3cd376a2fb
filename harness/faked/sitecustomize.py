"""Makes `time.sleep` work under libfaketime, for each Python that starts with this folder on PYTHONPATH.

Python's own `time.sleep` waits until the monotonic clock reaches a certain time. libfaketime 0.9.10 shifts that time,
although it should not change the monotonic clock (see the variables in `embedded.faketime`).
"""

import select
import time
from typing import SupportsIndex


def sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = sleep
