"""A program that runs ministack, and makes it shut down faster.

When ministack's web server is asked to end, it waits up to 3 s for open long polls, even if their clients have gone.
This is too long, because `script/up` must end everything within 10 s.
"""

from __future__ import annotations

from hypercorn.config import Config
from ministack.app import main  # type: ignore[import-untyped]

if __name__ == "__main__":
    Config.graceful_timeout = 0.3  # seconds
    main()
