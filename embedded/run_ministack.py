"""A program that runs ministack, so that it ends at once when it is asked to.

By default its web server waits 3 s for long polls, even if no client waits for them any more. But `script/up` must end
within 10 s in all.
"""

from __future__ import annotations

from hypercorn.config import Config
from ministack.app import main  # type: ignore[import-untyped]

if __name__ == "__main__":
    Config.graceful_timeout = 0.3  # seconds
    main()
