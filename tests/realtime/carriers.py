"""A transport for tests, which keeps the frames that it gets, and can wait like one with a full buffer."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import orjson

from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.record import Record, parse_record
from realtime.web.eager_start import start


class RecordingCarrier:
    """A transport that keeps the frames that it gets. After `fill`, `send` and `close` wait until `drain` is called."""

    name = "recording"
    answers_pings = True

    def __init__(self, *, waits_for_client: bool = True) -> None:
        self.waits_for_client = waits_for_client
        self.taken: list[Frame] = []
        self.aborted = False
        self.closed_with: int | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def fill(self) -> None:
        self._writable.clear()

    def drain(self) -> None:
        self._writable.set()

    def send(self, frame: Frame) -> Awaitable[None] | None:
        return start(self._send(frame))

    async def _send(self, frame: Frame) -> None:
        await self._writable.wait()
        self.taken.append(frame)

    async def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - part of a transport's interface
        await self._writable.wait()
        self.closed_with = int(code)

    def abort(self) -> None:
        self.aborted = True

    def is_silent(self) -> bool:
        return False

    def give_up_silent(self, seconds: float) -> None:
        pass

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [orjson.loads(frame.body) for frame in self.taken]

    @property
    def kinds(self) -> list[str]:
        return [frame.kind for frame in self.taken]


class Standing:
    """A feed whose position does not change."""

    def __init__(self, offset: int = 0, epoch: str = "e0") -> None:
        self.position: tuple[str, int] | None = (epoch, offset)


def record(offset: int, topic: str = "job:a", status: str = "PROCESSING", attempt: int = 1) -> Record:
    body = b'{"offset":%d,"topic":"%s","attempt":%d,"status":"%s","published_at":%.3f,"progress":null}' % (
        offset,
        topic.encode(),
        attempt,
        status.encode(),
        time.time(),
    )
    return parse_record(body)


def place(offset: int, epoch: str = "e0") -> Place:
    return Place(epoch, offset, "f0")
