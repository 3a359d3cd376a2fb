"""A real nginx in front of the product, configured as docs/how-to/run-behind-nginx.md says."""

import datetime as dt
import os
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from embedded.nginx import NGINX
from embedded.plan import Program
from embedded.ports import HOST, answers, free_port
from embedded.scratch import scratch_folder
from tests.docs.pages import page
from tests.system import System


class Nginx(Program):
    """nginx with the page's configuration: only addresses, ports and paths are other ones."""

    def __init__(self, folder: Path, program: Path, upstream: str) -> None:
        self.port, self.plain_port = free_port(), free_port()
        folder.mkdir()
        self.certificate = _make_certificate(folder)
        (folder / "nginx.conf").write_text(self._configuration(folder, upstream), encoding="utf-8")
        words = [str(program), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        super().__init__("nginx", words, folder / "nginx.log", dict(os.environ))

    def _configuration(self, folder: Path, upstream: str) -> str:
        (shown,) = page("docs/how-to/run-behind-nginx.md").fenced("nginx")
        for text, real in {
            "listen 80;": f"listen {HOST}:{self.plain_port};",
            "listen 443 ssl;": f"listen {HOST}:{self.port} ssl;",
            "/etc/ssl/academy.pem": str(folder / "certificate.pem"),
            "/etc/ssl/academy.key": str(folder / "key.pem"),
            "server 127.0.0.1:8000;": f"server {upstream};",
            "academy.example.com": HOST,
        }.items():
            assert text in shown
            shown = shown.replace(text, real)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""  # its own user could not enter the folder
        return (
            f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n{user}\nevents {{ worker_connections 512; }}\n"
            f"http {{\naccess_log off;\n{temporary}{shown}}}\n"
        )

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe its certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _is_ready(self) -> bool:
        return answers(self.port)


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


@pytest.fixture(scope="session")
def nginx_program() -> Path:
    program = NGINX.find()
    # Never skipped: a server behind a proxy that nobody has tried is not known to work.
    assert program is not None, "There is no nginx: run script/test, which gets one, or name yours in $NGINX."
    return program


@pytest.fixture(scope="module")
def proxy(system: System, nginx_program: Path) -> Iterator[Nginx]:
    with scratch_folder("nginx") as folder:
        running = Nginx(folder / "nginx", nginx_program, system.web.where)
        running.start()
        try:
            running.wait_ready()
            yield running
        finally:
            running.stop()
