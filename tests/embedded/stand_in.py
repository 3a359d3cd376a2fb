"""`script/up` with small stand-ins for the product's commands, to test how it starts, watches and ends processes.

This file is run as a program, with the options of `script/up`. Two environment variables change the stand-ins:

* `STAND_IN_MIGRATE`: `fail`, or `slow` (never ends).
* `STAND_IN_WEB`: `deaf` (ignores SIGTERM), or `broken` (ends at once with an error).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))


def web(port: int) -> None:
    import http.server  # noqa: PLC0415 (the other stand-ins start faster without this import)

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    if os.environ.get("STAND_IN_WEB") == "broken":
        sys.exit("no such module: the sun")
    if os.environ.get("STAND_IN_WEB") == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Ready).serve_forever()


def worker() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        Path(os.environ["WORKER_READY_FILE"]).write_text("ready", encoding="utf-8")
        time.sleep(1.0)


def migrate() -> None:
    how = os.environ.get("STAND_IN_MIGRATE")
    if how == "fail":
        sys.exit("no such table: the moon")
    if how == "slow":
        sys.stderr.write("migrating slowly\n")
        threading.Event().wait()


def main() -> int:
    if sys.argv[1:2] == ["as-web"]:
        web(int(sys.argv[2]))
    elif sys.argv[1:2] == ["as-worker"]:
        worker()
    elif sys.argv[1:2] == ["as-migrate"]:
        migrate()
    elif sys.argv[1:2] != ["as-provision"]:
        return up()
    return 0


def up() -> int:
    from embedded.plan import WORKERS, Plan, Step  # noqa: PLC0415 (the stand-ins start faster without this import)
    from embedded.up import main as run  # noqa: PLC0415

    me = [sys.executable, str(Path(__file__))]
    plan = Plan(
        steps=[
            Step("migrate", "Preparing the database", [*me, "as-migrate"]),
            Step("provision", "Making queues", [*me, "as-provision"], again_after="sqs"),
        ],
        web_argv=[*me, "as-web", "{port}"],
        workers={name: [*me, "as-worker"] for name in WORKERS},
    )
    return run(plan=plan)


if __name__ == "__main__":
    sys.exit(main())
