"""Tests that commands are written as redis-py writes them, and pipelines in few chunks."""

from typing import Any

import pytest
from redis import Redis
from redis.asyncio.connection import Connection as AsyncConnection
from redis.connection import Connection
from redis.exceptions import DataError

from embedded.group import Servers
from realtime.records.transitions import Status
from realtime.redis import links
from realtime.redis.packing import CHUNK_BYTES, packed, packed_together

COMMANDS: list[tuple[Any, ...]] = [
    ("PING",),
    ("SCRIPT LOAD", "return 1"),
    (b"CONFIG GET", b"maxmemory"),
    ("SET", "key:ä", b"\r\n\0\xff", "EX", 5),
    ("ZADD", "key", -1.5, memoryview(b"view"), 1e22, "x", 0.1 + 0.2, ""),
    ("SET", "key", Status.DONE, "PX", 2**53),
    ("SET", "key", "x" * CHUNK_BYTES),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_a_command_is_written_as_redis_py_writes_it(command: tuple[Any, ...]) -> None:
    theirs = [Connection().pack_command(*command), AsyncConnection().pack_command(*command)]  # type: ignore[no-untyped-call]
    assert [b"".join(chunks) for chunks in theirs] == [packed(command)] * 2


@pytest.mark.parametrize("value", [None, True, [1], object()])
def test_a_value_that_is_neither_text_nor_bytes_nor_a_number_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        packed(("SET", "key", value))


def test_a_pipeline_is_written_in_few_chunks_in_its_order() -> None:
    commands = [("ECHO", "x" * 1000, number) for number in range(200)]
    chunks = packed_together(commands)
    assert b"".join(chunks) == b"".join(map(packed, commands))
    assert len(chunks) == 4
    assert packed_together([]) == []


async def test_clients_send_what_they_were_given(servers: Servers, redis: Redis, tenant_id: int) -> None:
    key, value = f"tenant:{tenant_id}:packing", b"\r\n\0\xff" * CHUNK_BYTES
    with links.client(servers.redis.url) as client, client.pipeline() as pipeline:
        pipeline.set(key, value)
        pipeline.get(key)
        assert pipeline.execute() == [True, value]
    client_of_loop = links.async_client(servers.redis.url)
    async with client_of_loop, client_of_loop.pipeline() as pipeline_of_loop:
        pipeline_of_loop.append(key, "ä")
        pipeline_of_loop.getrange(key, -2, -1)
        assert await pipeline_of_loop.execute() == [len(value) + 2, "ä".encode()]
    redis.delete(key)
