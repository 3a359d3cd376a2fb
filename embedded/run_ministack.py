"""A program that runs ministack with a shorter time to end.

By default, ministack's web server ends only after 3 s if it still has long polls, even those of clients that have gone.
But `script/up` must end everything within 10 s.
"""

from __future__ import annotations

from hypercorn.config import Config
from ministack.app import main  # type: ignore[import-untyped]

if __name__ == "__main__":
    Config.graceful_timeout = 0.3  # seconds
    main()
