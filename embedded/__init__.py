"""Runs PostgreSQL, Redis, SQS and S3 on a machine that has only Python.

Every server has the same interface (`embedded.server.Server`): make it with a folder, call `start()` and
`wait_ready()`, and use its `url` or `address`. Call `stop()` or `kill()` to end it. It can be started again at the same
port with the same data.

    with embedded.scratch_folder() as folder, embedded.servers(folder, ["postgres", "redis", "sqs"]) as running:
        running.redis.url, running.postgres.url, running.sqs.address, running.environment()

This is not for production, where the environment has the addresses of real servers.
"""

from embedded.errors import EmbeddedError
from embedded.group import Servers, servers
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer
from embedded.scratch import scratch_folder
from embedded.sqs import SqsServer

__all__ = ["EmbeddedError", "PostgresServer", "RedisServer", "Servers", "SqsServer", "scratch_folder", "servers"]
