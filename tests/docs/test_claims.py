"""Tests that a test runs or checks each block of the documentation."""

import ast
from pathlib import Path

from tests.docs.claims import CLAIMS
from tests.docs.pages import blocks


def test_every_block_is_claimed_and_every_claimed_block_exists() -> None:
    assert set(CLAIMS) == set(blocks())


def test_every_claimant_is_a_test_of_this_folder() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in Path(__file__).parent.glob("test_*.py")]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tests = {node.name for tree in trees for node in tree.body if isinstance(node, functions)}
    assert set(CLAIMS.values()) <= tests
