"""Set the clock of a test's process ahead by OTHER_CLOCK_SECONDS. Python runs this module before anything else."""

import datetime as dt
import os
import time
from typing import Any

_AHEAD = float(os.environ.get("OTHER_CLOCK_SECONDS", "0"))
_true_time, _TrueDatetime = time.time, dt.datetime


class _Meta(type):
    def __instancecheck__(cls, found: object) -> bool:
        return isinstance(found, _TrueDatetime)


class _Shifted(dt.datetime, metaclass=_Meta):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _TrueDatetime.fromtimestamp(time.time(), tz)


time.time = lambda: _true_time() + _AHEAD
time.time_ns = lambda: int(1_000_000_000 * time.time())
setattr(dt, "datetime", _Shifted)  # noqa: B010 - a type checker rejects an assignment
