"""Runs `ministack`, an emulator of SQS and S3, as a separate process."""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path

from embedded import programs
from embedded.errors import EmbeddedError
from embedded.ports import HOST
from embedded.server import Server
from embedded.spawn import Order

REGION = "ap-northeast-2"
"""The region of queues and buckets, unless AWS_REGION names another one.

When the emulator starts after a kill, it restores the buckets from their files, and assigns all of them to its current
region (MINISTACK_REGION).
"""


class SqsServer(Server):
    """An emulator of SQS and S3 with the `address` `http://127.0.0.1:<port>`. It accepts any credentials.

    Objects are written to disk at once. Queues and their messages are written only when the emulator ends gracefully,
    so `kill()` loses messages, unlike a crash of the real SQS. The product sends lost messages again.
    """

    kind = "sqs"
    variable = "SQS_ENDPOINT_URL"
    default_port = 80

    @property
    def url(self) -> str:
        return self.external or f"http://{HOST}:{self.port}"

    def _prepare(self) -> Order:
        if not programs.has_ministack():
            raise EmbeddedError("The package ministack is missing: run script/up once, or set SQS_ENDPOINT_URL.")
        for part in ("state", "objects", "tmp"):
            (self.folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        return Order(
            argv=[sys.executable, str(Path(__file__).with_name("run_ministack.py"))],
            log_file=self.log_file,
            environment=self._environment(),
            folder=self.folder,
        )

    def _environment(self) -> dict[str, str]:
        # Pass on only these variables of the user. The rest may be for another emulator or for AWS.
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "LC_ALL", "TZ"}}
        return kept | {
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "SERVICES": "sqs,s3",
            "MINISTACK_REGION": os.environ.get("AWS_REGION") or REGION,
            # These services would listen at other ports, on all interfaces, although SERVICES does not name them.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "objects"),
            "TMPDIR": str(self.folder / "tmp"),
            "LOG_LEVEL": "WARNING",
            # When ministack starts or ends, it deletes Docker containers that look like its own, even if they belong to
            # another program.
            "DOCKER_HOST": f"unix://{self.folder / 'tmp' / 'no-docker.sock'}",
            "PYTHONUNBUFFERED": "1",
        }

    def _is_ready(self) -> bool:
        if self.external is not None:  # any answer of an external server shows that it runs
            secure = self.external.startswith("https:")
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            return self._answer_to(kind(self.host, self.port, timeout=2.0), "/") is not None
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2.0)
        return self._answer_to(connection, "/_ministack/health") == http.HTTPStatus.OK

    @staticmethod
    def _answer_to(connection: http.client.HTTPConnection, path: str) -> int | None:
        """Return the status of the answer, or None if it is not HTTP. Raises OSError if nothing answers."""
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except http.client.HTTPException:
            return None
        finally:
            connection.close()
