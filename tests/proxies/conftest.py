"""Real proxies in front of the product, each with the configuration that its page in docs/how-to/ shows."""

import datetime as dt
import os
import ssl
from abc import abstractmethod
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from embedded.haproxy import HAPROXY
from embedded.nginx import NGINX
from embedded.plan import Program
from embedded.ports import HOST, answers, free_port
from embedded.scratch import scratch_folder
from embedded.tools import Tool
from harness.system import System
from tests.docs.pages import page


class Proxy(Program):
    """A proxy with the configuration that our documentation shows for it, except for what `_changes` replaces."""

    name: str
    tool: Tool
    page: str

    def __init__(self, folder: Path, upstream: str) -> None:
        self.port, self.plain_port = free_port(), free_port()
        folder.mkdir()
        self.certificate = _make_certificate(folder)
        program = self.tool.find()
        # The tests fail instead of being skipped, so that each run tries every proxy.
        assert program is not None, (
            f"Run script/test, which gets {self.tool.kind}, or name yours in ${self.tool.variable}."
        )
        words = self._start(folder, str(program), self._shown(self._changes(folder, upstream)))
        super().__init__(self.name, words, folder / "proxy.log", dict(os.environ))

    @abstractmethod
    def _changes(self, folder: Path, upstream: str) -> dict[str, str]:
        """Return what the tests replace in the documented configuration, as `{text: replacement}`."""

    @abstractmethod
    def _start(self, folder: Path, program: str, configuration: str) -> list[str]:
        """Write the configuration to a file, and return the command that starts the proxy."""

    def _shown(self, changes: dict[str, str]) -> str:
        (shown,) = page(self.page).fenced(self.name)
        for text, real in changes.items():
            assert text in shown, text
            shown = shown.replace(text, real)
        return shown

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    def trust(self) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts the certificate of this proxy."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _is_ready(self) -> bool:
        return answers(self.port)


class Nginx(Proxy):
    name, tool, page = "nginx", NGINX, "docs/how-to/run-behind-nginx.md"

    def _changes(self, folder: Path, upstream: str) -> dict[str, str]:
        return {
            "listen 80;": f"listen {HOST}:{self.plain_port};",
            "listen 443 ssl http2;": f"listen {HOST}:{self.port} ssl http2;",
            "/etc/ssl/academy.pem": str(folder / "certificate.pem"),
            "/etc/ssl/academy.key": str(folder / "key.pem"),
            "server 127.0.0.1:8000;": f"server {upstream};",
            "academy.example.com": HOST,
        }

    def _start(self, folder: Path, program: str, configuration: str) -> list[str]:
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""  # nginx's default user could not enter the folder
        file = folder / "nginx.conf"
        file.write_text(
            f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n{user}\nevents {{ worker_connections 512; }}\n"
            f"http {{\naccess_log off;\n{temporary}{configuration}}}\n",
            encoding="utf-8",
        )
        return [program, "-p", str(folder), "-c", str(file), "-e", "stderr"]


class HAProxy(Proxy):
    name, tool, page = "haproxy", HAPROXY, "docs/how-to/run-behind-haproxy.md"

    def _changes(self, folder: Path, upstream: str) -> dict[str, str]:
        return {
            "bind :80": f"bind {HOST}:{self.plain_port}",
            "bind :443": f"bind {HOST}:{self.port}",
            "/etc/ssl/academy.pem": str(folder / "both.pem"),
            "server web 127.0.0.1:8000": f"server web {upstream}",
            "maxconn 20000": "maxconn 500",  # 20000 need more file descriptors than a test may open
        }

    def _start(self, folder: Path, program: str, configuration: str) -> list[str]:
        parts = [(folder / name).read_bytes() for name in ("certificate.pem", "key.pem")]
        (folder / "both.pem").write_bytes(b"".join(parts))
        file = folder / "haproxy.cfg"
        file.write_text(configuration, encoding="utf-8")
        return [program, "-db", "-f", str(file)]


def _make_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return file


@pytest.fixture(scope="module", params=[Nginx, HAProxy], ids=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, system: System) -> Iterator[Proxy]:
    with scratch_folder("proxy") as folder:
        running: Proxy = request.param(folder / "proxy", system.web.where)
        running.start()
        try:
            running.wait_ready()
            yield running
        finally:
            running.stop()
