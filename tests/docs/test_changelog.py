"""Tests that each section of the changelog is about one release, and the first one about the code's version."""

import re
import tomllib
from itertools import pairwise

import realtime
from embedded.home import PROJECT
from tests.docs.pages import page

CHANGELOG = page("CHANGELOG.md")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
HEADINGS = re.findall(r"^## (.+)$", CHANGELOG.prose, re.MULTILINE)
_RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (unreleased|\d{4}-\d\d-\d\d)")


def test_the_version_is_the_same_in_the_project_the_engine_the_lock_and_the_changelog() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))["package"]
    (locked,) = [package["version"] for package in packages if package["name"] == project["name"]]
    first = HEADINGS[0].partition("]")[0].removeprefix("[")
    assert project["version"] == realtime.__version__ == locked == first


def test_each_section_is_a_release_with_its_day_and_only_the_first_may_be_unreleased() -> None:
    found = [_RELEASE.fullmatch(heading) for heading in HEADINGS]
    assert [heading for heading, release in zip(HEADINGS, found, strict=True) if release is None] == []
    releases = [(tuple(map(int, release.groups()[:3])), release[4]) for release in found if release]
    assert all(later > earlier for (later, _), (earlier, _) in pairwise(releases))
    assert "unreleased" not in [day for _, day in releases[1:]]


def test_each_part_of_a_section_says_what_kind_of_changes_it_has() -> None:
    parts = re.findall(r"^### (\w+)(?:: .+)?$", CHANGELOG.prose, re.MULTILINE)
    assert set(parts) <= KINDS
    assert len(parts) == len(re.findall(r"^### ", CHANGELOG.prose, re.MULTILINE))
