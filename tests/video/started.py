"""What a test has started."""

import psutil


def children() -> list[psutil.Process]:
    """Of this process, not of its children: the servers of other tests start and end some of their own at any time."""
    found: list[psutil.Process] = psutil.Process().children()
    return found
