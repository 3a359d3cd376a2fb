"""Judges a server by the AsyncAPI document: `python -m realtime.conformance.server <url>`."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from realtime.conformance.server_checks import SERVER_CHECKS, ServerCheck
from realtime.conformance.server_client import Judged, nothing
from realtime.conformance.verdicts import MismatchError, Verdict, summarize

AT_ONCE = 4
"""How many checks run at the same time. A server limits how many connections a user may have."""


async def judge(
    check: ServerCheck,
    url: str,
    new_ticket: Callable[[], Awaitable[str]],
    publish: Callable[[], Awaitable[None]] = nothing,
) -> Verdict:
    """Run one check of the server at this address."""
    judged = Judged(url, new_ticket, check.section, publish)
    verdict = Verdict(check.name, check.title, judged.checks, judged.timeline)
    began = time.monotonic()
    try:
        await check.script(judged)
    except MismatchError as wrong:
        verdict.add_failure(wrong)
    except OSError as problem:
        verdict.add_failure(MismatchError("The server answers.", str(problem), check.section))
    verdict.seconds = time.monotonic() - began
    return verdict


async def judge_server(
    url: str,
    new_ticket: Callable[[], Awaitable[str]],
    publish: Callable[[], Awaitable[None]] = nothing,
    checks: Sequence[ServerCheck] = tuple(SERVER_CHECKS.values()),
    on_verdict: Callable[[Verdict], None] | None = None,
) -> list[Verdict]:
    """Run the checks, `AT_ONCE` at a time, and return the verdicts.

    Calls `on_verdict` with each as soon as it is known.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def judge_one(check: ServerCheck) -> Verdict:
        async with places:
            verdict = await judge(check, url, new_ticket, publish)
        if on_verdict is not None:
            on_verdict(verdict)
        return verdict

    return list(await asyncio.gather(*map(judge_one, checks)))


class CommandError(Exception):
    """A command that gets tickets or changes a record has failed."""


async def output_of(command: str) -> str:
    """Run a command, and return what it prints. Raises CommandError if it fails."""
    try:
        done = await asyncio.to_thread(
            subprocess.run, shlex.split(command), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as problem:
        raise CommandError(f"This command could not be started: {command}: {problem}") from None
    if done.returncode:
        raise CommandError(f"This command ended with {done.returncode}: {command}\n{done.stderr[-500:]}")
    return str(done.stdout).strip()


async def ticket_of(command: str) -> str:
    """Run the command that gets a ticket, and return the ticket.

    Raises CommandError if the command fails or prints nothing.
    """
    text = await output_of(command)
    if not text:
        raise CommandError(f"This command printed no ticket: {command}")
    return str(json.loads(text)["ticket"]) if text.startswith("{") else text


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m realtime.conformance.server", description=__doc__)
    parser.add_argument("url", help="the server's address, such as http://127.0.0.1:8000")
    how = "prints a new ticket for all topics, or the answer to a ticket call as JSON; is run for each connection"
    parser.add_argument("--ticket-command", required=True, metavar="COMMAND", help=how)
    how = "changes a record that the ticket allows to watch; without it the check `records` is left out"
    parser.add_argument("--publish-command", metavar="COMMAND", help=how)
    parser.add_argument("--only", metavar="NAMES", help="run only these checks, separated by commas")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each check")
    options = parser.parse_args(words)
    names = options.only.split(",") if options.only else list(SERVER_CHECKS)
    for name in names:
        if name not in SERVER_CHECKS:
            parser.error(f"{name} is none of {', '.join(SERVER_CHECKS)}.")
    publishes = options.publish_command is not None
    options.chosen = [SERVER_CHECKS[name] for name in names if publishes or not SERVER_CHECKS[name].publishes]
    return options


def main(words: Sequence[str]) -> int:
    """Judge a server. Return 0 if it passes all checks, 1 if it does not, 2 if a command failed."""
    options = parsed(words)

    async def new_ticket() -> str:
        return await ticket_of(options.ticket_command)

    async def publish() -> None:
        await output_of(options.publish_command)

    def show(verdict: Verdict) -> None:
        print(verdict.as_json() if options.json else verdict.as_text(), flush=True)

    async def judge_all() -> list[Verdict]:
        await new_ticket()  # without tickets, no check would say anything about the server
        return await judge_server(options.url, new_ticket, publish, options.chosen, show)

    try:
        verdicts = asyncio.run(judge_all())
    except CommandError as problem:
        print(problem, file=sys.stderr)
        return 2
    return summarize(verdicts, len(SERVER_CHECKS) - len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
