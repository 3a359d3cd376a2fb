"""`python -m benchmarks.speed.publisher`: publishes records at a steady pace, each with the time of its publish.

It prints how many records it published within the window, and what they cost it: CPU time, and the longest delay behind
its pace. The servers get the records in different ways:

* `redis://…`: by the product's own `Publisher`;
* `lines:PORT`: over TCP, as lines of a tenant's number, a space and the record (the C limit, Channels, Node);
* `nchan:PORT`: as a POST for each record to `/publish/<tenant>`, on one connection.
"""

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from realtime.publish import Publisher
from realtime.records.record import Draft, draft_record

TOPICS = 50
"""The number of topics of each tenant, by default. The engine may skip a record if a newer one of its topic replaces
it. With 50 topics that does not happen, unless a record is half a second late."""
FIRST_TENANT = 900_001
RECORD_BYTES = 290
_OTHER_BYTES = 190
"""The bytes of a record besides its padding."""
_BATCH = 200

Sink = Callable[[list[int], int], None]
"""Publishes the records with these numbers. Their time is the second argument, in microseconds since 1970."""


@dataclass(frozen=True)
class Records:
    """The records of a benchmark: their tenants take turns, and so do the topics of each tenant."""

    tenants: int
    record_bytes: int = RECORD_BYTES
    topics: int = TOPICS

    def tenant(self, number: int) -> int:
        return number % self.tenants

    def draft(self, number: int, moment_us: int) -> Draft:
        data = {"t": moment_us, "pad": "x" * max(0, self.record_bytes - _OTHER_BYTES)}
        topic = f"job:{number // self.tenants % self.topics}"
        return draft_record(topic=topic, attempt=1, status="PROCESSING", published_at=moment_us / 1e6, data=data)

    def body(self, number: int, moment_us: int) -> bytes:
        """Return a record as the product would send it, for the servers that only pass bytes on."""
        return b'{"offset":%d' % number + self.draft(number, moment_us).text[:-1] + b',"progress":null}'


def redis_sink(records: Records, url: str) -> Sink:
    publisher = Publisher.from_url(url)

    def publish(numbers: list[int], moment_us: int) -> None:
        publisher.publish_many([(FIRST_TENANT + records.tenant(n), records.draft(n, moment_us)) for n in numbers])

    return publish


def line_sink(records: Records, port: str) -> Sink:
    connection = _connect(port)

    def publish(numbers: list[int], moment_us: int) -> None:
        connection.sendall(b"".join(b"%d %s\n" % (records.tenant(n), records.body(n, moment_us)) for n in numbers))

    return publish


def nchan_sink(records: Records, port: str) -> Sink:
    connection = _connect(port)

    def post(number: int, moment_us: int) -> bytes:
        body = records.body(number, moment_us)
        address = b"POST /publish/%d HTTP/1.1\r\nHost: bench\r\n" % records.tenant(number)
        return address + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def publish(numbers: list[int], moment_us: int) -> None:
        connection.sendall(b"".join(post(number, moment_us) for number in numbers))
        with suppress(BlockingIOError):
            connection.recv(1 << 20, socket.MSG_DONTWAIT)  # the answers

    return publish


def _connect(port: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def sink_of(to: str, records: Records) -> Sink:
    kind, _, rest = to.partition(":")
    if kind in {"redis", "rediss"}:
        return redis_sink(records, to)
    return {"lines": line_sink, "nchan": nchan_sink}[kind](records, rest)


def run(publish: Sink, rate: float, begin_us: int, end_us: int) -> dict[str, float]:
    """Publish `rate` records a second, from now until `end_us`. Return the figures of the window."""
    counted, cpu, latest = 0, 0.0, 0.0
    started, number = time.time(), 0
    while (now := time.time()) * 1e6 < end_us:
        due = min(int((now - started) * rate) + 1 - number, _BATCH)
        if due <= 0:
            time.sleep(max(0.0, started + number / rate - now))
            continue
        before, moment_us = time.process_time(), time.time_ns() // 1000
        publish(list(range(number, number + due)), moment_us)
        if begin_us <= moment_us < end_us:
            counted += due
            cpu += time.process_time() - before
            latest = max(latest, now - started - number / rate)
        number += due
    return {"published": counted, "cpu_us": round(1e6 * cpu / max(1, counted), 2), "behind_ms": round(1e3 * latest, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.publisher")
    parser.add_argument("--to", required=True)
    parser.add_argument("--tenants", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="records a second")
    parser.add_argument("--topics", type=int, default=TOPICS, help="of each tenant")
    parser.add_argument("--begin", type=int, required=True, help="of the window, in microseconds since 1970")
    parser.add_argument("--end", type=int, required=True)
    chosen = parser.parse_args()
    publish = sink_of(chosen.to, Records(chosen.tenants, topics=chosen.topics))
    print(json.dumps(run(publish, chosen.rate, chosen.begin, chosen.end)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
