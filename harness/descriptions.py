"""Lets all clients of SQS and S3 in a process share the descriptions of these services.

For each session, botocore reads them from JSON files, which takes 0.2 s of CPU time.
"""

from functools import cache

from botocore.loaders import JSONFileLoader


def share_descriptions() -> None:
    """Let botocore read each file only once in this process. Forked children inherit what was read."""
    load = cache(JSONFileLoader().load_file)
    setattr(JSONFileLoader, "load_file", lambda _loader, path: load(path))  # noqa: B010 - mypy refuses an assignment
