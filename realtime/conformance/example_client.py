"""A whole client in Python, over a WebSocket. It passes `python -m realtime.conformance --transports websocket`.

Copy it, and replace `say` by what your program does with a record and with a state.
"""

import json
import random
import sys
import time
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

RANKS, TERMINAL = {"PENDING": 0, "PROCESSING": 1}, 2
RESTART, STEADY_SECONDS = 1012, 20


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def order(record: Any) -> tuple[int, int]:
    return record["attempt"], RANKS.get(record["status"], TERMINAL)


class Client:
    def __init__(self, ticket_url: str) -> None:
        self.ticket_url, self.place, self.tries = ticket_url, "", 0
        self.records, self.doubtful, self.shown = dict[str, Any](), set[str](), set[str]()
        self.closing = dict[str, Any]()

    def fold(self, frame: Any) -> None:
        for record in frame.get("records", []):
            self.keep(record["topic"], record)
        if frame["type"] == "snapshot":
            self.shown |= {record["topic"] for record in frame["records"]}
            if not frame["more"]:  # before the last part, a topic may still come
                if not frame["recovered"]:
                    self.doubtful = set(self.records) - self.shown
                self.shown = set()
        self.place = frame.get("place", self.place)

    def keep(self, topic: str, record: Any) -> None:
        held = self.records.get(topic)
        if topic in self.doubtful and order(held)[1] < TERMINAL:
            held = None  # the answer is the truth; only what has ended stays
        self.doubtful.discard(topic)
        if held is None or (record["status"] != "UNKNOWN" and order(record) >= order(held)):
            self.records[topic] = record
            say(record=record)
        if self.records[topic]["status"] == "UNKNOWN":
            del self.records[topic]

    def new_ticket(self) -> Any:
        return json.load(urlopen(Request(self.ticket_url, b"{}", method="POST"), timeout=20))

    def receive(self, socket: ClientConnection, ping: float) -> Any:
        try:
            return json.loads(socket.recv(timeout=ping + 5 if ping else 20))
        except TimeoutError:
            say(state="delayed")
            return json.loads(socket.recv(timeout=ping))

    def hold(self, socket: ClientConnection) -> None:
        """Read and answer frames until the connection ends, which raises an exception."""
        self.shown, ping, renew_at = set(), 0.0, float("inf")
        while frame := self.receive(socket, ping):
            self.fold(frame)
            if frame["type"] in {"welcome", "refreshed"}:
                ping, renew_at = frame.get("ping_seconds", ping), time.monotonic() + 0.8 * frame["expires_in"]
            elif frame["type"] == "delayed" or "place" in frame:
                say(state="delayed" if frame["type"] == "delayed" else "live")
            self.closing = frame if frame["type"] == "closing" else {}
            if frame["type"] == "ping":
                socket.send('{"type": "pong"}')
            if time.monotonic() > renew_at:
                renew_at = float("inf")
                with suppress(OSError):  # without a new ticket, the server ends the connection with 4100
                    socket.send(json.dumps({"type": "refresh", "ticket": self.new_ticket()["ticket"]}))
            if self.doubtful and frame["type"] in {"snapshot", "subscribed"}:
                time.sleep(0.25)  # a server allows 10 frames a second
                for kind in ("subscribe", "unsubscribe"):  # the next 100 topics follow after the answer
                    socket.send(json.dumps({"type": kind, "id": 1, "topics": sorted(self.doubtful)[:100]}))

    def watch(self) -> tuple[int, float]:
        """Hold one connection. Return the code with which it ended, and how many seconds to wait at least."""
        self.closing = {}
        try:
            ticket = self.new_ticket()
            protocols = [Subprotocol("realtime.v1"), Subprotocol(f"ticket.{ticket['ticket']}")]
            url = f"{ticket['websocket_url']}?topics=*&since={self.place}"
            with connect(url, subprotocols=protocols, open_timeout=20, max_size=None) as socket:
                self.hold(socket)
        except HTTPError as refused:  # of the ticket call
            stops = refused.code in {400, 401, 403}
            return 4000 + refused.code if stops else 1006, float(refused.headers.get("Retry-After") or 0)
        except (OSError, WebSocketException) as end:
            code = end.rcvd.code if isinstance(end, ConnectionClosed) and end.rcvd else 1006
        return self.closing.get("code", code), self.closing.get("retry_after_ms", 0) / 1000

    def run(self) -> None:
        """Connect again and again, until the server says stop."""
        while True:
            say(state="connecting")
            began = time.monotonic()
            code, least = self.watch()
            if code in range(4400, 4500):
                return say(state="stopped", code=code)
            self.tries = 0 if time.monotonic() - began > STEADY_SECONDS else self.tries + 1
            jitter = random.uniform(0, min(20, 0.25 * 2**self.tries))
            say(state="waiting")
            time.sleep(least if code == RESTART else max(least, jitter))


if __name__ == "__main__":
    Client(json.loads(sys.stdin.readline())["ticket_url"]).run()
