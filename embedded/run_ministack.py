"""Runs as a program of its own: ministack, which ends at once when it is asked to.

Its web server would wait 3 s for long polls that nobody waits for any more, and we promise to end within 10 s in all.
"""

from __future__ import annotations

from hypercorn.config import Config
from ministack.app import main  # type: ignore[import-untyped]

if __name__ == "__main__":
    Config.graceful_timeout = 0.3  # seconds
    main()
