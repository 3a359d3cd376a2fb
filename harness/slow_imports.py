"""Slows imports down, so that a test can look at an import, or stop it, in the middle. This takes no CPU time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from academy.adapters.db.django.students_chunk_sql import LOCK
from harness.system import System, tenant_of


@contextmanager
def slow_imports(system: System, academy: str = "hanbit", pause: float = 0.4) -> Iterator[None]:
    """Let each chunk of 200 rows of the academy's imports wait up to `pause` seconds, until the block ends.

    A thread takes the lock of the academy's students again and again, and holds it for `pause` seconds each time.
    PostgreSQL grants a lock in the order of the requests, so a chunk waits for at most one hold.
    """
    tenant_id = tenant_of(system, academy)
    ended = threading.Event()

    def hold_and_release() -> None:
        with psycopg.connect(system.database_url) as connection:
            while not ended.is_set():
                with connection.transaction():
                    connection.execute(LOCK, [tenant_id])
                    ended.wait(pause)

    thread = threading.Thread(target=hold_and_release)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
