"""Runs a scripted session with one client, checks what the client does, and returns the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from realtime.conformance.client_process import ClientProcess
from realtime.conformance.links import Link
from realtime.conformance.scripted_server import ScriptedServer
from realtime.conformance.sections import Section
from realtime.conformance.verdicts import Check, MismatchError, Verdict

PATIENCE_SECONDS = 45.0
"""How long a session waits for something that has to happen. The longest back-off of a client is 20 s."""


class Session:
    """What a script needs: the server, the client, and the checks, which end the session if they fail."""

    def __init__(self, section: Section, command: Sequence[str], patience: float) -> None:
        self._section, self._patience = section, patience
        self._began = time.monotonic()
        self._happened = asyncio.Event()
        self._seen_links = self._seen_states = 0
        self.checks: list[Check] = []
        self.timeline: list[str] = []
        self.server = ScriptedServer(self._note)
        self.client = ClientProcess(command, self._note)

    def _note(self, event: str) -> None:
        self.timeline.append(f"{time.monotonic() - self._began:7.2f} s  {event}")
        self._happened.set()

    def check(self, holds: bool, expected: str, came: str, section: Section | None = None) -> None:  # noqa: FBT001
        """Add a check. Raises MismatchError if it fails."""
        if not holds:
            raise MismatchError(expected, came, section or self._section)
        self.checks.append(Check(expected, came, section or self._section))

    def _check_faults(self) -> None:
        if self.client.fault:
            raise MismatchError("The client writes records and states.", self.client.fault, Section.CLIENT)
        for fault in [*self.server.faults, *(fault for link in self.server.links for fault in link.faults)]:
            sections = {"a second": Section.LIMITS, "frame": Section.CLIENT_FRAMES, "place": Section.PLACES}
            section = next((section for word, section in sections.items() if word in fault), None)
            raise MismatchError("The client keeps to the protocol.", fault, section or Section.CONNECTING)

    async def until(
        self, holds: Callable[[], bool], expected: str, came: Callable[[], str], section: Section | None = None
    ) -> None:
        """Wait until `holds` returns True. Raises MismatchError if that does not happen in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while not holds():
                    self._check_faults()
                    self._happened.clear()
                    await self._happened.wait()
        self._check_faults()
        self.check(holds(), expected, came(), section)

    async def during(
        self,
        seconds: float,
        holds: Callable[[], bool],
        expected: str,
        came: Callable[[], str],
        section: Section | None = None,
    ) -> None:
        """Wait for `seconds`. Raises MismatchError as soon as `holds` returns False."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while holds():
                    self._check_faults()
                    self._happened.clear()
                    await self._happened.wait()
        self.check(holds(), expected, came(), section)

    async def link(self, expected: str = "The client connects.") -> Link:
        """Wait for the next link of the client."""
        number = self._seen_links
        links = self.server.links
        await self.until(
            lambda: len(links) > number,
            expected,
            lambda: f"connection {number + 1}" if len(links) > number else f"no connection {number + 1}",
        )
        self._seen_links += 1
        return links[number]

    async def live(self) -> None:
        """Wait until the client says that it is live."""
        await self.state("live", Section.CLIENT)

    async def state(self, state: str, section: Section | None = None) -> None:
        """Wait until the client writes this state.

        Looks at the state that the previous wait found, and at all later ones. Earlier states are ignored.
        """

        def said() -> list[str]:
            return [line.state for line in self.client.states[self._seen_states :]]

        await self.until(lambda: state in said(), f"The client says {state}.", lambda: f"states {said()}", section)
        self._seen_states += said().index(state)

    async def shows(self, *expected: tuple[str, str, int]) -> None:
        """Wait until the client shows exactly these topics, each with its status and offset."""
        wanted = sorted(expected)

        def shown() -> list[tuple[str, str, int]]:
            return sorted((topic, r["status"], r["offset"]) for topic, r in self.client.records.items())

        words = ", ".join(f"{topic} {status} (offset {offset})" for topic, status, offset in wanted)
        await self.until(
            lambda: shown() == wanted,
            f"The client shows exactly: {words or 'nothing'}.",
            lambda: ", ".join(f"{topic} {status} (offset {offset})" for topic, status, offset in shown()) or "nothing",
            Section.FOLD,
        )

    async def comes_back(
        self, old: Link, *, after: float = 0.0, section: Section | None = None, since: str | None = None
    ) -> Link:
        """Wait until the client connects again after the end of `old`, and return the new link.

        Raises MismatchError if the client does not send the place of `old` (or `since`), if it waits for less than
        `after` seconds, or if it writes no state other than live after the end of `old`.
        """
        new = await self.link("The client connects again.")
        ended_at = old.ended_at or old.heard_at
        waited = new.opened_at - ended_at
        if after:
            expected = f"The client waits at least {after:g} s before it connects again."
            self.check(waited >= 0.97 * after, expected, f"after {waited:.2f} s", section)
        place = since or old.place
        expected = f"The client reconnects with the place of the last frame that had one: {place}."
        self.check(new.since == place, expected, f"since {new.since}", Section.PLACES)

        def left() -> list[int]:
            """Return the indexes of the states other than live that the client wrote after the end of the old link."""
            states = enumerate(self.client.states)
            return [number for number, line in states if line.at > ended_at and line.state != "live"]

        await self.until(
            lambda: bool(left()),
            "The client does not say that it is live while it has no connection.",
            lambda: f"states {[line.state for line in self.client.states]}",
            Section.CLIENT,
        )
        self._seen_states = max(self._seen_states, left()[0])
        return new

    async def asked(self, link: Link, topics: Iterable[str]) -> None:
        """Wait until the client has asked for these topics by name, and then until it has unsubscribed from them."""
        wanted = set(topics)
        before = set(link.named.split(","))
        await self.until(
            lambda: wanted <= set(link.asked),
            f"The client asks by name for {', '.join(sorted(wanted)[:5])}.",
            lambda: f"asked for {', '.join(link.asked[:5]) or 'nothing'}",
            Section.CLIENT,
        )
        await self.until(
            lambda: link.watched == before,
            "After the answer the client removes these topics with unsubscribe.",
            lambda: f"watches {', '.join(sorted(link.watched)[:5])}",
            Section.CLIENT,
        )


Script = Callable[[Session], Awaitable[Any]]


@dataclass(frozen=True)
class Scripted:
    """A session: its name, one sentence about what it expects of a client, and the script.

    `section` is the section of the protocol that requires this of a client. `needs` are the transports that the client
    must be able to use.
    """

    name: str
    title: str
    section: Section
    script: Script
    needs: tuple[str, ...] = ("websocket",)


async def judge(scripted: Scripted, command: Sequence[str], patience: float = PATIENCE_SECONDS) -> Verdict:
    """Run one session with a new process of the client. Raises OSError if the command cannot be started."""
    session = Session(scripted.section, command, patience)
    verdict = Verdict(scripted.name, scripted.title, session.checks, session.timeline)
    began = time.monotonic()
    async with session.server:
        await session.client.start(session.server.ticket_url)
        try:
            await scripted.script(session)
        except MismatchError as wrong:
            verdict.add_failure(wrong)
            verdict.errors = session.client.errors
        finally:
            await session.client.stop()
    verdict.seconds = time.monotonic() - began
    return verdict
