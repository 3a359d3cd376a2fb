"""`script/up`: starts the whole system, keeps it running in the foreground, and ends it gracefully."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from embedded import group, ports, runfile, status
from embedded.errors import EmbeddedError, Stopped
from embedded.home import AlreadyRunsError, Home
from embedded.plan import (
    Plan,
    Program,
    Step,
    Web,
    Worker,
    environment_of_commands,
    product_environment,
    refuse_wrong_values,
)
from embedded.spawn import Child, Order, last_lines, why_ended
from embedded.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from embedded.service import Service

_STEP_SECONDS = 600.0
_READY_SECONDS = 60.0
# Everything must end within 10 s, so plan for 9. Programs end first, because they use the servers. The servers get the
# rest of the time.
END_SECONDS = 9.0
_PROGRAM_END_SECONDS = 6.0
_HIGHEST_PORT = 65_535
_POLL = 0.05

_HELP = """\
Starts PostgreSQL, Redis, an SQS/S3 emulator, the web server and the workers on this machine, and stays in the
foreground. Ctrl-C ends all of them. A server whose address is in the environment (DATABASE_URL, REDIS_URL,
SQS_ENDPOINT_URL) is used and not started. All data, logs and secrets are in ACADEMY_HOME (default: .academy in the
project). Delete that folder to start from scratch."""
_CODES = """\
exit codes: 0 ended on request, or already running; 1 could not start; 2 a wrong option.
with --status: 0 everything runs; 1 something does not run; 3 nothing runs."""
_DEMO = """\
  Sign in with the academy hanbit or saebom, as owner, staff, teacher or student; the password is academy-demo."""


def say(line: str) -> None:
    """Print a line at once. If the terminal is closed, print nothing from then on, so that the run can still end."""
    try:
        print(line, flush=True)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (it stays open to the end)


class Up:
    """One run of the system: starts all processes, watches them, and ends them."""

    def __init__(self, home: Home, plan: Plan, port: int, users: Mapping[str, str], *, demo: bool) -> None:
        self.home = home
        self.plan = plan
        self.port = port
        self.users = users
        self.demo = demo
        self.ledger = runfile.Ledger(home)
        self.supervisor = Supervisor(say, self._write_run_file, self._came_back)
        self.services: list[Service] = []
        self.environment: dict[str, str] = {}
        self._step: Child | None = None
        self._stop_asked = threading.Event()
        self._ending = False

    def run(self) -> int:
        """Run the system, and return the exit code. If a part cannot start, end all others and raise EmbeddedError."""
        self._catch_signals()
        try:
            self._start()
            self.supervisor.run(self.services)
        except Stopped:
            pass
        finally:
            self._end()
        return 0

    def _catch_signals(self) -> None:
        # A background job of a shell ignores SIGINT by default, but SIGINT must end this process.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # with nohup, the terminal may be closed
            signal.signal(signal.SIGHUP, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._ending:  # at the second signal, kill everything
            for service in self.services:
                if service.child is not None:
                    service.child.send(signal.SIGKILL)
        self._stop_asked.set()
        self.supervisor.signalled(number)

    def _check_asked(self) -> None:
        if self._stop_asked.is_set():
            raise Stopped("asked to end")

    def _check(self) -> None:
        """Raise Stopped if the user asked to end, and EmbeddedError if a process has ended while others start."""
        self._check_asked()
        for service in self.services:
            if service.child is not None and not service.running:
                raise EmbeddedError(service.failure())

    def _start(self) -> None:
        refuse_wrong_values(product_environment(self.home, self.users, {}))
        runfile.end_leftovers(self.home, say)
        self._refuse_taken_port()
        servers = group.choose(self.home.folder, environment=self.users, durable=True, logs=self.home.logs)
        for server in servers:
            where = f"using the one at {status.without_password(server.url)}" if server.external else "starting"
            say(f"{server.name}: {where}")
        self._bring_up(list(servers))
        self.environment = product_environment(self.home, self.users, servers.environment())
        runfile.write_environment(self.home, environment_of_commands(self.environment, self.users))
        for step in self.plan.steps:
            if self.demo or not step.demo:
                self._run_step(step, self._check)
        say("Starting the web server and the workers")
        self._bring_up(self._programs())
        self._write_run_file()
        self._greet()

    def _refuse_taken_port(self) -> None:
        reason = ports.why_not(self.port)
        if reason is not None:
            raise EmbeddedError(f"Port {self.port} {reason}: choose another one with --port N.")
        ports.keep(self.port)  # the web server starts last, so another server could take the port before

    def _bring_up(self, services: Sequence[Service]) -> None:
        for service in services:
            service.on_start = self.ledger.record
            service.on_end = self.supervisor.ended
        self.services.extend(services)
        group.start_all(services, _READY_SECONDS, self._check, say)

    def _programs(self) -> list[Program]:
        def named(name: str) -> dict[str, str]:
            return {**self.environment, "PROCESS_NAME": name}

        logs = self.home.logs
        web = Web("web", self.plan.web(self.port), logs / "web.log", named("web"))
        web.port = self.port
        workers = [
            Worker(name, argv, logs / f"{name}.log", named(name), self.home.ready_file(name))
            for name, argv in self.plan.workers.items()
        ]
        for program in (web, *workers):
            program.folder = self.plan.folder
        return [web, *workers]

    def _run_step(self, step: Step, check: Callable[[], None]) -> None:
        say(step.says)
        log_file = self.home.logs / f"{step.name}.log"
        log_file.unlink(missing_ok=True)
        order = Order(
            argv=step.argv,
            log_file=log_file,
            environment={**self.environment, "PROCESS_NAME": step.name},
            folder=self.plan.folder,
        )
        self._step = Child(order)
        waited = 0.0
        while not self._step.wait(_POLL):
            check()
            waited += _POLL
            if waited > _STEP_SECONDS:
                raise EmbeddedError(f"{step.says} took more than {_STEP_SECONDS:.0f} s; its log is {log_file}.")
        if self._step.code != 0:
            how = f"{step.name} {why_ended(self._step)}"
            raise EmbeddedError(f"{step.says} failed ({how}); its log is {log_file}:\n{last_lines(log_file)}")

    def _came_back(self, service: Service) -> None:
        """Run the steps that restore what a server may have lost by its crash."""
        for step in self.plan.steps:
            if step.again_after == service.name:
                try:
                    self._run_step(step, self._check_asked)
                except EmbeddedError as error:
                    say(str(error))

    def _write_run_file(self) -> None:
        by_name = {service.name: service for service in self.services}
        order = ("web", "postgres", "redis", "sqs", *self.plan.workers)
        address = f"http://{ports.HOST}:{self.port}"
        runfile.write(self.home, [by_name[name] for name in order if name in by_name], address)

    def _greet(self) -> None:
        say(f"\nThe system runs at http://{ports.HOST}:{self.port}  (Ctrl-C ends it; logs are in {self.home.logs})")
        if self.demo:
            say(_DEMO)

    def _end(self) -> None:
        """End everything within 10 s: first the programs, and then the servers that the programs use."""
        self._ending = True
        began = time.monotonic()
        if self.services:
            say("Ending")
        if self._step is not None:
            self._step.end(0.5)
        programs = [service for service in self.services if isinstance(service, Program)]
        group.stop_all(programs, _PROGRAM_END_SECONDS)
        left = END_SECONDS - (time.monotonic() - began)
        group.stop_all([service for service in self.services if service not in programs], left)
        self.ledger.clear()
        for name in self.plan.workers:
            self.home.ready_file(name).unlink(missing_ok=True)


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/up", description=_HELP, epilog=_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="the web server's port (default: 8000)")
    parser.add_argument("--no-demo", action="store_true", help="do not load the demo academies")
    parser.add_argument("--status", action="store_true", help="print what runs, and exit")
    return parser.parse_args(words)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to {_HIGHEST_PORT}")
    return int(text)


def _say_where_it_runs(home: Home) -> int:
    web = runfile.read(home).get("web")
    address = web.get("address") if web else None
    say(f"It runs already, at {address}, in {home.folder}." if address else f"It is starting already in {home.folder}.")
    return 0


def main(words: Sequence[str] | None = None, plan: Plan | None = None) -> int:
    """Run the command, and return its exit code. `--help` lists the codes."""
    options = _parse(words)
    home = Home.of(os.environ)
    if options.status:
        return status.show(home)
    from config.environment import SECRETS  # noqa: PLC0415 (the import is slow; the other options do not need it)
    from config.hidden import hide_variables  # noqa: PLC0415

    try:
        home.prepare()
        with home.locked():
            users = dict(os.environ)
            hide_variables(SECRETS)  # no child process inherits them; those of the product get them from `users`
            return Up(home, plan or Plan(), options.port, users, demo=not options.no_demo).run()
    except AlreadyRunsError:
        return _say_where_it_runs(home)
    except EmbeddedError as error:
        with contextlib.suppress(OSError):
            print(f"script/up: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
