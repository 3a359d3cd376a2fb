"""Tests that links resolve, that files named in pages exist, and that docs/README.md links to all pages of docs/."""

import re

import pytest

from embedded.home import PROJECT
from tests.docs.pages import Page, page, pages

_FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|lua|sh|toml|yml|md|js|png))`|`([\w-]+\.(?:lua|toml|yml|md))`")
_MADE_LATER = {"publish.py", "watch.py", "watch_all.py", "watch_on.py", "failed.py"}

every_page = pytest.mark.parametrize("name", [found.name for found in pages()])


@every_page
def test_links_of_a_page_resolve(name: str) -> None:
    broken = [link for link in page(name).links() if not link.startswith("http") and not _resolves(page(name), link)]
    assert broken == []


def _resolves(source: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (source.path.parent / path).resolve() if path else source.path
    if not target.exists() or not target.is_relative_to(PROJECT):
        return False
    return not anchor or anchor in page(str(target.relative_to(PROJECT))).anchors()


@every_page
def test_files_that_a_page_names_exist(name: str) -> None:
    named = {full or short for full, short in _FILE.findall(page(name).prose)} - _MADE_LATER
    folders = [PROJECT, page(name).path.parent]
    assert [file for file in named if not any((folder / file).exists() for folder in folders)] == []


@every_page
def test_no_page_leads_out_of_the_project(name: str) -> None:
    assert "../shared" not in page(name).text
    assert "/work/" not in page(name).text


NAMED_AS_FOLDERS = {"management", "migrations"}


def test_every_page_is_in_the_contents() -> None:
    contents = page("docs/README.md")
    listed = {(contents.path.parent / link).resolve() for link in contents.links()}
    assert {path for path in PROJECT.glob("docs/**/*.md") if path != contents.path} <= listed


def test_the_walk_names_every_file_of_the_engine() -> None:
    walk = page("realtime/README.md").text
    engine = PROJECT / "realtime"
    files = [file.relative_to(engine) for ending in ("py", "lua") for file in engine.rglob(f"*.{ending}")]
    names = [str(file) for file in files if file.name != "__init__.py" and file.parts[0] not in NAMED_AS_FOLDERS]
    assert [name for name in names if name not in walk] == []
