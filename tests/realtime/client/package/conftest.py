"""Fixtures: the npm package, installed from its tarball as users do, and a web server for built applications."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders

from embedded import npm
from embedded.home import PROJECT
from embedded.tools import TOOLS

PACKAGE = PROJECT / "realtime" / "client"
APPS = Path(__file__).with_name("apps")
GRANTED = {
    "ticket": "t1",
    "expires_in": 60,
    "share": "s1",
    "websocket_url": "ws://localhost:9/ws/events/",
    "events_url": "http://localhost:9/api/v1/events/",
    "snapshot_url": "http://localhost:9/api/v1/realtime/snapshot/",
}
"""A ticket. Nothing serves these addresses: the tests answer the WebSockets."""


def run(*argv: str | Path, folder: Path, text: str | None = None) -> str:
    """Run Node, npm or a program of an npm package in a folder, with `text` as its input. Return what it prints."""
    ran = subprocess.run(
        argv, cwd=folder, env=npm.environment(), input=text, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the tarball with the packed client.

    Pack a copy of the package: packing creates the folder `types/` in it, and removes it at the end. In the package
    itself, this would disturb tests in other processes, which copy and serve its folder.
    """
    npm.packages()
    folder, project = tmp_path_factory.mktemp("tarball"), tmp_path_factory.mktemp("project")
    copy = project / PACKAGE.relative_to(PROJECT)
    shutil.copytree(PACKAGE, copy)
    shutil.copy(PROJECT / "tsconfig.json", project)
    for name, real in ((".tools", TOOLS), ("tests", PROJECT / "tests")):  # tsconfig.json names files in them
        (project / name).symlink_to(real)
    run("npm", "pack", "--pack-destination", folder, "--loglevel=error", folder=copy)
    assert not (copy / "types").exists(), "packing removes the types again"
    (packed,) = folder.iterdir()
    return packed


@pytest.fixture(scope="session")
def workshop(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of each application in `apps/`, and with the packed client installed for all of them.

    The applications import other packages from `node_modules` in the folder above, so installing needs no network.
    """
    above = tmp_path_factory.mktemp("workshop")
    (above / "node_modules").symlink_to(npm.packages())
    folder = above / "apps"
    shutil.copytree(APPS, folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    run("npm", "install", tarball, "--offline", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)
    return folder


@pytest.fixture(scope="session")
def bundle(workshop: Path) -> Callable[..., str]:
    """Return a function that bundles a module into one script. The module may contain JSX and import the client."""

    def bundled(text: str, *options: str) -> str:
        always = ("--bundle", "--format=esm", "--loader=jsx", "--jsx=automatic", "--log-level=error")
        return run("esbuild", *always, *options, folder=workshop, text=text)

    return bundled


@pytest.fixture(scope="session")
def in_node(workshop: Path) -> Callable[[str], Any]:
    """Return a function that runs the text of a module in Node, and returns what the module exports as `result`."""

    def called(text: str) -> Any:
        module = workshop / "called.js"
        module.write_text(text, encoding="utf-8")
        show = 'import { result } from "./called.js"; console.log(JSON.stringify(await result)); process.exit();'
        return json.loads(run("node", "--input-type=module", "--eval", show, folder=workshop))

    return called


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, the static files of Django, and tickets."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ticket":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(GRANTED).encode())
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        if path.startswith("/static/"):
            return str(finders.find(path.removeprefix("/static/")))
        return super().translate_path(path)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def serve() -> Callable[[Path], AbstractContextManager[str]]:
    """Return a function for `with`: it serves a folder until the block ends, and yields the address."""

    @contextmanager
    def served(folder: Path) -> Iterator[str]:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return served
