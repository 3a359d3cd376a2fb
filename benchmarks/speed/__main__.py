"""`script/bench`: measures the product beside other servers, in one run on this machine.

The measured server runs alone on one core. Its clients, its publisher and its Redis run on the other cores. The figures
that count are CPU times, which other work on the machine disturbs little. All addresses are on the loopback interface.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed import churning, connecting, fan_out, importing, output, peers, polls, publishing, suite
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.generator import PROGRAMS, BenchmarkError
from benchmarks.speed.publisher import TOPICS
from benchmarks.speed.report import table
from embedded.errors import EmbeddedError
from embedded.home import PROJECT
from embedded.scratch import scratch_folder

EXTENTS = {"--quick": suite.QUICK, "--full": suite.FULL, "--smallest": suite.SMALLEST}
PUBLISHED = PROJECT / "docs" / "benchmarks"
MOST_CONNECTIONS, MOST_RATE, MOST_SECONDS, MOST_TENANTS = 100_000, 2_000_000, 600, 100_000


def _say(line: str) -> None:
    print(line, flush=True)


def _fan_out(chosen: argparse.Namespace, folder: Path) -> None:
    for server in chosen.server:
        with fan_out.running(
            server, folder, protocol=chosen.protocol, connections=chosen.connections, tenants=chosen.tenants
        ) as (target, generator):
            pids = ", ".join(map(str, target.pids))
            _say(f"{server} (pid {pids}): {generator.handshakes['handshakes_a_second']:.0f} handshakes/s")
            for rate in chosen.rate:
                found = fan_out.measure(
                    target,
                    generator,
                    connections=chosen.connections,
                    rate=rate,
                    seconds=chosen.seconds,
                    topics=chosen.topics,
                )
                _say(json.dumps(found.json()) if chosen.json else f"  {found}")


def _connect(chosen: argparse.Namespace, folder: Path) -> None:
    for server in chosen.server:
        found = connecting.measure(
            server,
            folder,
            protocol=chosen.protocol,
            connections=chosen.connections,
            tenants=chosen.tenants,
            at_once=chosen.at_once,
            idle_seconds=chosen.seconds,
            may_refuse=True,
        )
        _say(json.dumps(found.json()) if chosen.json else f"{server}: {found}")


def _polls(chosen: argparse.Namespace, folder: Path) -> None:
    for found in polls.measure(folder, chosen.seconds):
        _say(json.dumps(found.json()) if chosen.json else str(found))


def _publish(chosen: argparse.Namespace, folder: Path) -> None:
    for found in publishing.measure(folder, chosen.records):
        _say(json.dumps(found.json()) if chosen.json else str(found))


def _import(chosen: argparse.Namespace, folder: Path) -> None:
    for found in importing.measure(folder, chosen.rows):
        _say(json.dumps(found.json()) if chosen.json else str(found))


def _churn(chosen: argparse.Namespace, folder: Path) -> None:
    for server in chosen.server:
        for found in churning.measure(
            server,
            folder,
            protocol=chosen.protocol,
            connections=chosen.connections,
            tenants=chosen.tenants,
            minutes=chosen.minutes,
        ):
            _say(json.dumps(found.json()) if chosen.json else f"{server}: {found}")


def _peers(_chosen: argparse.Namespace, _folder: Path) -> None:
    if absent := peers.install():
        raise BenchmarkError(f"These could not be downloaded: {', '.join(absent)}.")
    _say(f"nchan and Node's ws are in {peers.PEERS}.")


def _everything(how: str, folder: Path, into: Path | None, runs: int | None) -> None:
    for absent in peers.missing():
        _say(f"{absent} is not installed, and is left out: {peers.INSTALL} downloads it into .tools/.")
    extent = EXTENTS[how] if runs is None else replace(EXTENTS[how], runs=runs)
    whole = suite.Suite(extent, folder, _say)
    rows = whole.run()
    _say(f"\n{table(rows)}\n")
    for file in output.write(into or (PUBLISHED if how == "--full" else PROGRAMS / how.strip("-")), rows, how):
        _say(f"wrote {file}")
    if whole.failures:
        raise BenchmarkError("\n".join(["Not all could be measured:", *whole.failures]))


def number_to(most: float, kind: Callable[[str], Any] = int) -> Callable[[str], Any]:
    def number(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, up to {most}")
        return value

    return number


def _with_server(command: argparse.ArgumentParser, connections: int) -> None:
    command.add_argument("--server", nargs="+", choices=sorted(SERVERS), default=["ours"])
    command.add_argument("--protocol", choices=["websocket", "sse"], default="websocket")
    command.add_argument("--connections", type=number_to(MOST_CONNECTIONS), default=connections, metavar="N")
    command.add_argument("--tenants", type=number_to(MOST_TENANTS), default=20, metavar="N")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measures the product beside other servers.")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", dest="how", action="store_const", const="--quick", help="everything, 4 minutes")
    extent.add_argument("--full", dest="how", action="store_const", const="--full", help="everything, three times")
    extent.add_argument("--smallest", dest="how", action="store_const", const="--smallest", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="for the results (docs/benchmarks with --full)")
    parser.add_argument("--runs", type=number_to(20), metavar="N", help="how often everything is measured")
    commands = parser.add_subparsers(metavar="COMMAND")
    one = commands.add_parser("fan-out", help="records to many connections: CPU time a record, latency")
    _with_server(one, 2000)
    rates = number_to(MOST_RATE, float)
    one.add_argument("--rate", type=rates, nargs="+", default=[10_000], metavar="N", help="deliveries a second")
    one.add_argument("--topics", type=number_to(1_000_000), default=TOPICS, metavar="N", help="of each tenant")
    one.set_defaults(run=_fan_out)
    connect = commands.add_parser("connect", help="many connections: handshakes, memory, idle CPU")
    _with_server(connect, 10_000)
    connect.add_argument("--at-once", type=number_to(MOST_CONNECTIONS), default=200, metavar="N", help="handshakes")
    connect.set_defaults(run=_connect)
    poll = commands.add_parser("polls", help="requests for a job's progress, and /healthz")
    poll.set_defaults(run=_polls)
    publish = commands.add_parser("publish", help="publishing: CPU time of the publisher and of Redis")
    publish.add_argument("--records", type=number_to(1_000_000), default=5_000, metavar="N")
    publish.set_defaults(run=_publish)
    lists = commands.add_parser("import", help="Excel lists: the import, row by row, and a bare COPY")
    lists.add_argument("--rows", type=number_to(100_000), nargs="+", default=[100, 1_000], metavar="N")
    lists.add_argument("--json", action="store_true", help="print JSON")
    lists.set_defaults(run=_import)
    churn = commands.add_parser("churn", help="clients come and go: whether the memory grows")
    _with_server(churn, 1000)
    churn.add_argument("--minutes", type=number_to(60, float), default=30.0, metavar="N")
    churn.add_argument("--json", action="store_true", help="print JSON")
    churn.set_defaults(run=_churn)
    get = commands.add_parser("peers", help="download nchan and Node's ws into .tools/ (apt-get, npm)")
    get.set_defaults(run=_peers)
    for command in (one, connect, poll, publish):
        command.add_argument("--seconds", type=number_to(MOST_SECONDS, float), default=5.0, metavar="N")
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(words)
    if not chosen.how and "run" not in chosen:
        parser.error("say --quick, --full or a command (--help lists them)")
    try:
        with scratch_folder("bench") as folder:
            if chosen.how:
                _everything(chosen.how, folder, chosen.into, chosen.runs)
            else:
                chosen.run(chosen, folder)
    except (BenchmarkError, EmbeddedError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
