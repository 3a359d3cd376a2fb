"""Makes password hashes cheap in tests. With Django's number of rounds, one hash takes a third of a second of CPU time.

Pytest uses few rounds, and so do the product's processes that `harness/forked.py` starts without SLOW_HASHES.
"""

from collections.abc import Mapping

from django.contrib.auth.hashers import PBKDF2PasswordHasher

FEW_ROUNDS = 1000
ROUNDS = "HASHING_ROUNDS"
SLOW_HASHES = {ROUNDS: "300000"}
"""Variables for a process of the product whose hashes must be slow: one hash takes about a tenth of a second."""


def use_few_rounds(environment: Mapping[str, str]) -> None:
    """Let this process hash passwords with the number of rounds that `environment` sets, or else with FEW_ROUNDS."""
    PBKDF2PasswordHasher.iterations = int(environment.get(ROUNDS, FEW_ROUNDS))
