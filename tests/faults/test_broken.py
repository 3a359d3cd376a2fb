"""Tests that each defect which `script/break-guarantees` makes still fits the code, and is in the documentation."""

import shutil
from pathlib import Path

import pytest

from tests.faults.broken import DEFECTS, PROJECT, Defect, noticed, put_in, table

GUARANTEES = ["1. Terminal", "2. Monotone", "3. Snapshot", "4. Tenant", "5. Zero"]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.what)
def test_the_text_of_a_defect_occurs_once_in_its_file_and_its_test_exists(defect: Defect, tmp_path: Path) -> None:
    (tmp_path / defect.file).parent.mkdir(parents=True)
    shutil.copy(PROJECT / defect.file, tmp_path / defect.file)
    put_in(defect, tmp_path)
    assert (tmp_path / defect.file).read_text() != (PROJECT / defect.file).read_text()
    path, _, name = defect.test.partition("::")
    assert f"def {name}" in (PROJECT / path).read_text()


def test_each_guarantee_has_at_least_one_defect() -> None:
    assert {g for g in GUARANTEES if any(defect.guarantee.startswith(g) for defect in DEFECTS)} == set(GUARANTEES)


def test_the_documentation_contains_the_table_of_defects() -> None:
    assert table() in (PROJECT / "docs" / "explanation" / "broken-on-purpose.md").read_text(encoding="utf-8")


def test_a_defect_is_noticed(tmp_path: Path) -> None:
    """Try only one defect, whose test is quick. `script/break-guarantees` tries all defects."""
    quick = next(defect for defect in DEFECTS if defect.file == "realtime/feed/subscriber.py")
    assert noticed(quick, tmp_path)
