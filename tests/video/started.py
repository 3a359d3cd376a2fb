"""The processes that a test has started."""

import psutil


def children() -> list[psutil.Process]:
    """Return this process's direct children, but not theirs: servers of other tests start and end some at any time."""
    found: list[psutil.Process] = psutil.Process().children()
    return found
