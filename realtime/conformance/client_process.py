"""The client that is judged: a process that reads one line of JSON, and writes one for each record and state."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

STATES = ("connecting", "live", "delayed", "polling", "waiting", "stopped")
STOP_SECONDS = 2.0
LAST_ERRORS = 2000
MAX_LINE_BYTES = 1 << 20

Record = dict[str, Any]


@dataclass(frozen=True)
class StateLine:
    """A state that the client has written. `at` is the time of `time.monotonic()`."""

    at: float
    state: str
    code: int | None


class ClientProcess:
    """Starts a client for one session, and keeps what the client writes.

    Calls `changed` after each line, and when the client ends.
    """

    def __init__(self, command: Sequence[str], changed: Callable[[str], None]) -> None:
        self._command, self._changed = command, changed
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.states: list[StateLine] = []
        self.history: list[Record] = []
        """All records that the client has written, oldest first."""
        self.records: dict[str, Record] = {}
        """The last record of each topic. A record with the status UNKNOWN removes its topic."""
        self.fault: str | None = None
        """What was wrong with the client's output, or how it ended too early."""
        self._errors = b""

    async def start(self, ticket_url: str) -> None:
        """Start the client, and tell it where to get tickets. Raises OSError if the command cannot be started."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, limit=MAX_LINE_BYTES
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ticket_url": ticket_url}).encode() + b"\n")
        self._tasks = [asyncio.create_task(self._read_output()), asyncio.create_task(self._read_errors())]

    async def stop(self) -> None:
        """Close the client's input, then end the client and all processes that it has started."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for end in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, end)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def state(self) -> str:
        """The last state, or "" if the client has not written one yet."""
        return self.states[-1].state if self.states else ""

    @property
    def errors(self) -> str:
        """The end of what the client wrote to its error output."""
        return self._errors.decode(errors="replace").strip()

    async def _read_errors(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while part := await self._process.stderr.read(LAST_ERRORS):
            self._errors = (self._errors + part)[-LAST_ERRORS:]

    async def _read_output(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._changed(self._take(line))
        code = await self._process.wait()
        if self.state != "stopped":
            self.fault = self.fault or f"The client ended with the exit code {code}."
        self._changed(f"the client ends with the exit code {code}")

    def _take(self, line: bytes) -> str:
        """Store the record or state that the client wrote as this line. Return a description of it for the timeline.

        If the line is neither, set `fault` (unless it is set already), and describe the line by its beginning.
        """
        try:
            said = json.loads(line)
            if "record" in said:
                return self._take_record(said["record"])
            return self._take_state(said["state"], said.get("code"))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.fault = self.fault or f"A line of the client is neither a record nor a state: {line[:200]!r}"
            return f"the client writes {line[:200]!r}"

    def _take_record(self, record: Record) -> str:
        topic, status = record["topic"], record["status"]
        self.history.append(record)
        if status == "UNKNOWN":
            self.records.pop(topic, None)
        else:
            self.records[topic] = record
        return f"record {topic} {status}, attempt {record.get('attempt')}, offset {record.get('offset')}"

    def _take_state(self, state: str, code: int | None) -> str:
        if state not in STATES:
            self.fault = self.fault or f"The state {state!r} is none of {', '.join(STATES)}."
        self.states.append(StateLine(time.monotonic(), state, code))
        return f"state {state}" + (f", code {code}" if code else "")
