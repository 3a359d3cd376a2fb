"""The documentation as tests read it: pages, fenced blocks, tables, headings and links."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from embedded.home import PROJECT

RUN_LANGUAGES = frozenset({"python", "sh", "json"})
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    name: str
    text: str

    @property
    def path(self) -> Path:
        return PROJECT / self.name

    @property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def fenced(self, language: str) -> list[str]:
        return [text for found, text in _FENCE.findall(self.text) if found == language]

    def anchors(self) -> set[str]:
        """Return the anchors that GitHub makes from the headings."""
        return {
            re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in _HEADING.findall(self.prose)
        }

    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    def rows(self, first_column: str) -> list[list[str]]:
        """Return the rows of the first table whose first column has this heading. Raise LookupError if none has."""
        lines = iter(self.prose.splitlines())
        for line in lines:
            if line.startswith(f"| {first_column} |"):
                next(lines)
                return [_cells(row) for row in takewhile(lambda row: row.startswith("|"), lines)]
        raise LookupError(f"{self.name} has no table that begins with {first_column!r}.")


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


@cache
def page(name: str) -> Page:
    return Page(name, (PROJECT / name).read_text(encoding="utf-8"))


def pages() -> list[Page]:
    """Return all pages of the project's documentation."""
    own = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "realtime/README.md", "examples/minimal/README.md"]
    return [page(name) for name in [*own, *sorted(str(p.relative_to(PROJECT)) for p in PROJECT.glob("docs/**/*.md"))]]


@cache
def blocks() -> dict[str, str]:
    """Return the blocks that tests run or check. Key of the first Python block of README.md: `README.md#python-1`."""
    return {
        f"{found.name}#{language}-{number}": text
        for found in pages()
        for language in sorted(RUN_LANGUAGES)
        for number, text in enumerate(found.fenced(language), start=1)
    }
