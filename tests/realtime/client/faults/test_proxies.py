"""Proxies that break a transport: the client finds the best transport that works, and tells the page which it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.nginx import NGINX
from embedded.plan import Program
from embedded.ports import HOST, answers, free_port
from harness.system import System
from tests.realtime.client.faults.watching import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NO_WEBSOCKETS = "proxy_http_version 1.1; proxy_set_header Connection '';"
WEBSOCKETS = (
    "proxy_http_version 1.1; proxy_set_header Connection $http_connection; proxy_set_header Upgrade $http_upgrade;"
)
# A proxy that compresses a stream holds it back until it has enough to compress.
HOLDS_STREAMS_BACK = (
    "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;"
    " gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;"
)
PASSES_STREAMS_ON = "proxy_buffering off;"


class Nginx(Program):
    """An nginx in front of a system, with these directives."""

    def __init__(self, folder: Path, system: System, directives: str) -> None:
        self.port = free_port()
        program = NGINX.find()
        assert program is not None, "There is no nginx: run script/test, which gets one, or name yours in $NGINX."
        folder.mkdir()
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""  # nginx's default user could not enter the folder
        place = f"proxy_pass http://{system.web.where}; proxy_set_header Host $http_host; {directives}"
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid; {user} events {{ }}\n"
            f"http {{ access_log off; {temporary} server {{ listen {HOST}:{self.port}; location / {{ {place} }} }} }}\n"
        )
        words = [str(program), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        super().__init__("nginx", words, folder / "nginx.log", dict(os.environ))

    def _is_ready(self) -> bool:
        return answers(self.port)


@contextmanager
def behind(system: System, folder: Path, directives: str) -> Iterator[str]:
    """Run an nginx, and yield its address."""
    nginx = Nginx(folder / "nginx", system, directives)
    nginx.start()
    try:
        nginx.wait_ready()
        yield f"http://{HOST}:{nginx.port}"
    finally:
        nginx.stop()


@pytest.mark.parametrize(
    ("directives", "state"),
    [
        (WEBSOCKETS + HOLDS_STREAMS_BACK, "live"),
        (NO_WEBSOCKETS + PASSES_STREAMS_ON, "live"),
        (NO_WEBSOCKETS + HOLDS_STREAMS_BACK, "polling"),
    ],
    ids=["streams are held back", "no WebSockets", "neither works"],
)
async def test_what_gets_through_is_used_and_the_end_arrives(
    tabs: Tabs, damaged: System, tmp_path: Path, directives: str, state: str
) -> None:
    with behind(damaged, tmp_path, directives) as address:
        tab = await tabs.watch(address)
        await tab.is_in(state)
        topic = await tab.begin()
        await tab.publish(topic, "DONE")
        assert await tab.end_of(topic) == "DONE"
