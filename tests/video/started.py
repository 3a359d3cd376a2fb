"""Lists the child processes of the process that runs the tests."""

import psutil


def children() -> list[psutil.Process]:
    """Return the direct children of this process. The servers that other tests use are among them.

    Grandchildren are left out, because those servers start and end processes of their own at any time.
    """
    found: list[psutil.Process] = psutil.Process().children()
    return found
