"""`script/bench`: measures the product beside other servers, in one run on this machine.

script/bench fan-out --server ours --connections 2000 --tenants 20 --rate 10000 --seconds 5
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.speed import fan_out
from benchmarks.speed.generator import BenchmarkError
from benchmarks.speed.servers import SERVERS
from embedded.errors import EmbeddedError
from embedded.scratch import scratch_folder


def _fan_out(chosen: argparse.Namespace, folder: Path) -> None:
    for server in chosen.server:
        with fan_out.running(
            server, folder, protocol=chosen.protocol, connections=chosen.connections, tenants=chosen.tenants
        ) as (target, generator):
            pids = ", ".join(map(str, target.pids))
            print(f"{server} (pid {pids}): {generator.handshakes['handshakes_a_second']:.0f} handshakes/s", flush=True)
            for rate in chosen.rate:
                found = fan_out.measure(
                    target, generator, connections=chosen.connections, rate=rate, seconds=chosen.seconds
                )
                print(json.dumps(found.json()) if chosen.json else f"  {found}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("fan-out")
    one.add_argument("--server", nargs="+", choices=sorted(SERVERS), default=["ours"])
    one.add_argument("--protocol", choices=["websocket", "sse"], default="websocket")
    one.add_argument("--connections", type=int, default=2000)
    one.add_argument("--tenants", type=int, default=20)
    one.add_argument("--rate", type=float, nargs="+", default=[10_000], help="deliveries a second")
    one.add_argument("--seconds", type=float, default=5.0)
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_fan_out)
    chosen = parser.parse_args()
    try:
        with scratch_folder("bench") as folder:
            chosen.run(chosen, folder)
    except (BenchmarkError, EmbeddedError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
