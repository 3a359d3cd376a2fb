"""The processes that a test has started."""

import psutil


def children() -> list[psutil.Process]:
    """Return the direct children of this process, without grandchildren.

    Servers that other tests use are children of this process, too, and start and end processes of their own at any
    time.
    """
    found: list[psutil.Process] = psutil.Process().children()
    return found
