"""Tests of the allocator and the garbage collector of a web process. Each test starts its own process."""

import os
import subprocess
import sys

from embedded.home import PROJECT

ARENAS_OF_20_THREADS = """
import ctypes, tempfile, threading
from realtime.server.process_memory import limit_arenas
limit_arenas()
c, pointer = ctypes.CDLL(None), ctypes.c_void_p
c.malloc.argtypes, c.malloc.restype = [ctypes.c_size_t], pointer
c.fopen.restype, c.fclose.argtypes, c.malloc_info.argtypes = pointer, [pointer], [ctypes.c_int, pointer]
together = threading.Barrier(20)
def allocate():
    together.wait()
    c.malloc(100_000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile() as file:
    opened = c.fopen(file.name.encode(), b"w")
    c.malloc_info(0, opened)
    c.fclose(opened)
    print(file.read().count(b"<heap nr="))
"""
CYCLES_THAT_OUTLIVE_A_COLLECTION = """
import gc
from realtime.server.process_memory import set_collector
set_collector()
class Request(dict):
    pass
answered = []
for number in range(300_000):
    request = Request()
    request["itself"] = request
    answered.append(request)
    if len(answered) == 3000:
        answered.clear()
gc.disable()
answered.clear()
print(sum(type(found) is Request for found in gc.get_objects()))
"""


def said_by(program: str, **environment: str) -> int:
    """Run a program, and return the number that it prints."""
    named = {name: value for name, value in os.environ.items() if name not in {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}}
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, cwd=PROJECT, env=named | environment, check=True, capture_output=True, text=True)
    return int(told.stdout)


def test_many_threads_share_two_arenas() -> None:
    assert said_by(ARENAS_OF_20_THREADS) <= 2


def test_the_number_of_arenas_that_an_operator_sets_is_kept() -> None:
    assert 2 < said_by(ARENAS_OF_20_THREADS, MALLOC_ARENA_MAX="4") <= 4


def test_cycles_that_survived_a_collection_are_freed_soon() -> None:
    assert said_by(CYCLES_THAT_OUTLIVE_A_COLLECTION) < 35_000
