"""Starts `spy.py` in the same way in which a worker starts ffmpeg.

This parent has a secret in its environment. It runs as root, or without any privilege.
"""

import os
import sys
from pathlib import Path

from academy.adapters.sandbox.start import Walls, start
from embedded.child import NOBODY, map_to

user, spy, secret_file, allowed_file, allowed_folder = sys.argv[1:]
if user == "nobody":
    map_to(NOBODY)  # programs started after this have no capabilities
walls = Walls(
    memory_bytes=200_000_000,
    cpu_seconds=20,
    file_bytes=20_000_000,
    reads=[Path(spy), Path(allowed_file)],
    writes=[Path(allowed_folder)],
)
words = [os.path.realpath(sys.executable), "-I", "-S", spy, secret_file, allowed_file, allowed_folder]
process = start(words, walls, stdout=sys.stdout.buffer, stderr=sys.stderr.buffer)
sys.exit(process.wait())
