"""Verdicts on clients and servers: what was expected, what came, and which section of the protocol requires it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field

from realtime.conformance.sections import Section

SHOWN_EVENTS = 40


class MismatchError(Exception):
    """The client or the server that is judged did something else than the protocol says."""

    def __init__(self, expected: str, came: str, section: Section) -> None:
        super().__init__(f"Expected: {expected} Came: {came}")
        self.expected, self.came, self.section = expected, came, section


@dataclass
class Check:
    """One thing that was expected, and what came."""

    expected: str
    came: str
    section: Section
    ok: bool = True

    def __str__(self) -> str:
        mark = "" if self.ok else "WRONG: "
        return f"{mark}{self.expected} Came: {self.came}. [{self.section}]"


@dataclass
class Verdict:
    """The result of one session of a client, or of one `ServerCheck` of a server.

    `timeline` says what happened. `errors` is what a client wrote to its error output.
    """

    name: str
    title: str
    checks: list[Check] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    errors: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)

    def add_failure(self, wrong: MismatchError) -> None:
        self.checks.append(Check(wrong.expected, wrong.came, wrong.section, ok=False))

    def as_json(self) -> str:
        return json.dumps({"ok": self.ok, **asdict(self)}, ensure_ascii=False)

    def as_text(self) -> str:
        lines = [f"{'ok  ' if self.ok else 'FAIL'}  {self.name} ({self.seconds:.1f} s): {self.title}"]
        lines += [f"      {check}" for check in self.checks]
        if not self.ok:
            lines += ["      What happened:", *(f"      {event}" for event in self.timeline[-SHOWN_EVENTS:])]
        if not self.ok and self.errors:
            lines += ["      Its errors:", *(f"        {line}" for line in self.errors.splitlines())]
        return "\n".join(lines)


def summarize(verdicts: list[Verdict], left_out: int) -> int:
    """Print to the error output how many sessions or checks passed. Return the exit code: 0 if all passed, else 1."""
    failed = [verdict.name for verdict in verdicts if not verdict.ok]
    words = f"{len(verdicts) - len(failed)} of {len(verdicts)} passed"
    words += f", {left_out} not run." if left_out else "."
    words += f" Failed: {', '.join(failed)}." if failed else ""
    print(words, file=sys.stderr)
    return 1 if failed else 0
