"""Keeps processes running: reports each that ends, and starts it again after a pause that grows with each failure."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded.errors import EmbeddedError
from embedded.spawn import Child, why_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded.service import Service

_FIRST_WAIT = 1.0  # seconds before a process is started again; doubled with each failure
_LONGEST_WAIT = 30.0
_LOOK = 0.1  # seconds between two checks of a service that is starting
_FOREIGN_LOOK = 1.0  # seconds between two checks of a port that another program has taken
_READY_WITHIN = 60.0
_SETTLED = 30.0  # seconds of running after which earlier failures no longer count


@dataclass
class _Watched:
    """The state of a service: it runs, waits for its next start, starts, or has left its port to a foreign program.

    `since` is when it began to run or to start, and `due` is when to check it next, both in monotonic seconds. With
    None as `due`, nothing is checked until the process ends.
    """

    service: Service
    state: str = "runs"  # runs | waits | starts | foreign
    due: float | None = None
    failures: int = 0
    since: float = 0.0


class Supervisor:
    """Watches services. One queue receives the signals and the ends of processes, in the order in which they happen."""

    def __init__(
        self, say: Callable[[str], None], changed: Callable[[], None], came_back: Callable[[Service], None]
    ) -> None:
        self._say = say
        self._changed = changed  # called when a pid has changed
        self._came_back = came_back  # called when a service that had ended is ready again
        # A signal handler may call `put` at any moment. A SimpleQueue allows that; a Queue could wait for its own lock.
        self._events: queue.SimpleQueue[tuple[Service, Child] | int] = queue.SimpleQueue()
        self._watched: dict[str, _Watched] = {}

    def ended(self, service: Service, child: Child) -> None:
        """Put the end of a process into the queue. Any thread may call this method."""
        self._events.put((service, child))

    def signalled(self, number: int) -> None:
        """Put a signal into the queue. A signal handler may call this method."""
        self._events.put(number)

    def run(self, services: Sequence[Service]) -> int:
        """Watch `services` until `signalled` is called. Return the number of the signal.

        All services must have been started before the call.
        """
        now = time.monotonic()
        self._watched = {service.name: _Watched(service, since=now) for service in services}
        while True:
            event = self._next_event()
            if isinstance(event, int):
                return event
            if event is not None:
                self._on_end(*event)
            for watched in self._watched.values():
                if watched.due is not None and watched.due <= time.monotonic():
                    self._look_at(watched)

    def _next_event(self) -> tuple[Service, Child] | int | None:
        due = [watched.due for watched in self._watched.values() if watched.due is not None]
        try:
            return self._events.get(timeout=max(0.0, min(due) - time.monotonic()) if due else None)
        except queue.Empty:
            return None

    def _on_end(self, service: Service, child: Child) -> None:
        watched = self._watched.get(service.name)
        if watched is None or service.child is not child:  # the service was started again since
            return
        if watched.state == "runs" and time.monotonic() - watched.since > _SETTLED:
            watched.failures = 0
        self._again_later(watched, f"{service.name} (pid {child.pid}) {why_ended(child)}")

    def _again_later(self, watched: _Watched, what: str) -> None:
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**watched.failures)
        watched.failures += 1
        watched.state, watched.due = "waits", time.monotonic() + wait
        self._say(f"{what}; starting it again in {wait:.0f} s (log: {watched.service.log_file})")

    def _look_at(self, watched: _Watched) -> None:
        if watched.state == "starts":
            self._look_at_starting(watched)
        elif watched.service.is_taken():
            if watched.state != "foreign":
                service = watched.service
                self._say(f"Another program answers at {service.where} now; leaving {service.name} to it")
                self._changed()
            watched.state, watched.due = "foreign", time.monotonic() + _FOREIGN_LOOK
        else:
            self._start(watched)

    def _start(self, watched: _Watched) -> None:
        try:
            watched.service.start()
        except (EmbeddedError, OSError) as error:
            self._again_later(watched, f"{watched.service.name} could not be started: {error}")
            return
        watched.state, watched.since = "starts", time.monotonic()
        watched.due = watched.since + _LOOK
        self._changed()

    def _look_at_starting(self, watched: _Watched) -> None:
        service, now = watched.service, time.monotonic()
        if service.is_ready():
            watched.state, watched.due, watched.since = "runs", None, now
            self._say(f"{service.name} runs again (pid {service.pid})")
            self._came_back(service)
        elif now - watched.since > _READY_WITHIN:
            self._say(f"{service.name} did not get ready within {_READY_WITHIN:.0f} s; ending it")
            watched.due = None
            service.kill()  # `ended` will be called, and the service started again
        else:
            watched.due = now + _LOOK
