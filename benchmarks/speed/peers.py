"""Starts the servers of others, where they are installed, and says how to install them. Nothing is downloaded here.

They do less than the product: they check no ticket, keep no state for clients that come back, and number no records.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.speed import processes
from benchmarks.speed.generator import PROGRAMS, SOURCES
from benchmarks.speed.servers import SSE, Started, Target, listening
from embedded import debian
from embedded.npm import PROGRAMS as NPM_PROGRAMS
from embedded.npm import environment as npm_environment
from embedded.ports import HOST, free_port
from embedded.tools import run_installer

PEERS = PROGRAMS / "peers"
_NCHAN = PEERS / "nchan"
_NGINX, _MODULE = _NCHAN / "usr/sbin/nginx", _NCHAN / "usr/lib/nginx/modules/ngx_nchan_module.so"
_NGINX_CONF = """
load_module {module};
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    nchan_shared_memory_size 256M;
    server {{
        listen {host}:{port} backlog=4096;
        location ~ ^/(\\d+)$ {{
            nchan_subscriber;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
        location ~ ^/publish/(\\d+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_timeout 5s;
        }}
    }}
}}
"""


def _requests(tenants: int) -> list[str]:
    return [f"/{number}" for number in range(tenants)]


@contextmanager
def nchan(folder: Path, protocol: str, tenants: int) -> Iterator[Target]:
    """Run nginx with the module nchan, and one worker process."""
    port, own = free_port(), folder / f"nchan-{protocol}"
    (own / "nginx").mkdir(parents=True, exist_ok=True)
    configuration = own / "nginx.conf"
    text = _NGINX_CONF.format(module=_MODULE, folder=own, host=HOST, port=port, files=15_000, user=_user())
    configuration.write_text(text, encoding="utf-8")
    argv = [*_in_own_library(own), _NGINX, "-p", own, "-c", configuration, "-e", own / "error.log"]
    with listening("nchan", argv, folder, port) as pid:
        pids = [pid, *(child.pid for child in psutil.Process(pid).children())]
        for each in pids:
            processes.pin(each, processes.cores()[0])
        requests = [f"{line}\tAccept: text/event-stream" if protocol == SSE else line for line in _requests(tenants)]
        yield Target("nchan", port, pids, requests, f"nchan:{port}", protocol)


def _user() -> str:
    return "user root;" if os.geteuid() == 0 or _in_own_library(Path()) else ""


def _in_own_library(folder: Path) -> list[object]:
    """Return the words that run a program with `folder` in place of /var/lib, unless that folder has `nginx`.

    Debian's nginx with nchan does not start without /var/lib/nginx, which only its installation makes.
    """
    if Path("/var/lib/nginx").is_dir():
        return []
    mounted = 'mount --bind "$0" /var/lib && exec "$@"'
    return ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", mounted, folder]


@contextmanager
def node_ws(folder: Path, protocol: str, tenants: int) -> Iterator[Target]:
    port, feed = free_port(), free_port()
    argv = [_node(), SOURCES / "node_ws.cjs", port, feed]
    with listening("node-ws", argv, folder, port, NODE_PATH=str(PEERS / "node_modules")) as pid:
        yield Target("node-ws", port, [pid], _requests(tenants), f"lines:{feed}", protocol)


@contextmanager
def channels(folder: Path, protocol: str, tenants: int) -> Iterator[Target]:
    """Run plain Channels with uvicorn."""
    port, feed = free_port(), free_port()
    argv = [sys.executable, "-m", "uvicorn", "benchmarks.speed.channels_app:application", "--host", HOST]
    argv += ["--port", str(port), "--log-level", "warning", "--backlog", "4096", "--ws-ping-interval", "3600"]
    with listening("channels", argv, folder, port, FEED_PORT=str(feed)) as pid:
        yield Target("channels", port, [pid], _requests(tenants), f"lines:{feed}", protocol)


def _node() -> Path:
    return Path(shutil.which("node") or NPM_PROGRAMS / "node")


SERVERS: dict[str, Callable[[Path, str, int], Started]] = {"nchan": nchan, "node-ws": node_ws, "channels": channels}
WEBSOCKET_ONLY = frozenset({"node-ws", "channels"})
_PLACES = {"nchan": _MODULE, "node-ws": PEERS / "node_modules" / "ws"}
INSTALL = "script/bench peers"


def missing() -> list[str]:
    """Return the servers that are not installed."""
    return [name for name, place in _PLACES.items() if not place.exists()]


def install() -> list[str]:
    """Download the missing servers into `.tools/`, from Debian and npm. Return those that are still missing."""
    PEERS.mkdir(parents=True, exist_ok=True)
    if "nchan" in missing():
        debian.unpack("nginx and nchan", _NCHAN, "nginx", "nginx-core", "libnginx-mod-nchan")
    if "node-ws" in missing():
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        run_installer(
            NPM_PROGRAMS / "npm", "install", *options, "--prefix", PEERS, "ws@8", environment=npm_environment()
        )
    return missing()
