"""Judges a client: `python -m realtime.conformance -- <command that starts the client>`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from realtime.conformance.end_sessions import END_SESSIONS
from realtime.conformance.link_sessions import LINK_SESSIONS
from realtime.conformance.record_sessions import RECORD_SESSIONS
from realtime.conformance.session import PATIENCE_SECONDS, Scripted, judge
from realtime.conformance.verdicts import Verdict, summarize

SESSIONS = {scripted.name: scripted for scripted in [*RECORD_SESSIONS, *LINK_SESSIONS, *END_SESSIONS]}
TRANSPORTS = ("websocket", "events", "polls")


async def judge_all(chosen: Sequence[Scripted], command: Sequence[str], options: argparse.Namespace) -> list[Verdict]:
    """Run the sessions, `options.jobs` at a time, and print each verdict as soon as it is known."""
    places = asyncio.Semaphore(options.jobs)

    async def judge_one(scripted: Scripted) -> Verdict:
        async with places:
            verdict = await judge(scripted, command, options.patience)
        print(verdict.as_json() if options.json else verdict.as_text(), flush=True)
        return verdict

    return list(await asyncio.gather(*map(judge_one, chosen)))


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m realtime.conformance", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the sessions, and run none")
    parser.add_argument("--only", metavar="NAMES", help="run only these sessions, separated by commas")
    how = "what the client can use: websocket, events, polls (all); leave out sessions that need others"
    parser.add_argument("--transports", metavar="NAMES", default=",".join(TRANSPORTS), help=how)
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="how many sessions run at a time (8)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each session")
    wait = f"wait so long for something that has to happen ({PATIENCE_SECONDS:g})"
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS", help=wait)
    parser.add_argument("command", nargs="*", help="starts the client; put -- before it")
    options = parser.parse_args(words)
    for name, known in [
        *((name, SESSIONS) for name in split(options.only)),
        *((name, TRANSPORTS) for name in split(options.transports)),
    ]:
        if name not in known:
            parser.error(f"{name} is none of {', '.join(known)}.")
    if not options.command and not options.list:
        parser.error("Say how to start the client: python -m realtime.conformance -- COMMAND")
    wanted, usable = split(options.only) or SESSIONS, set(split(options.transports))
    options.chosen = [found for name, found in SESSIONS.items() if name in wanted and usable.issuperset(found.needs)]
    return options


def split(names: str | None) -> list[str]:
    return names.split(",") if names else []


def main(words: Sequence[str]) -> int:
    """Run the sessions, or only print their names with `--list`.

    Return 0 after a list or if the client passes all sessions, 1 if it fails one, 2 if it cannot be started.
    """
    options = parsed(words)
    if options.list:
        for scripted in options.chosen:
            print(f"{scripted.name:24} {scripted.title} ({scripted.section})")
        return 0
    try:
        verdicts = asyncio.run(judge_all(options.chosen, options.command, options))
    except OSError as problem:
        print(f"The client could not be started: {problem}", file=sys.stderr)
        return 2
    return summarize(verdicts, len(SESSIONS) - len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
