"""The processes that a test has started."""

import psutil


def children() -> list[psutil.Process]:
    """Return only the direct children: servers of other tests start and end children of their own at any time."""
    found: list[psutil.Process] = psutil.Process().children()
    return found
