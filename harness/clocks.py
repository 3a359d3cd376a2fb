"""Clocks of single processes that tests set: below libfaketime, which `embedded.faketime` finds or gets."""

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
        """One that is right for now; its offset stands in the file."""
        file.write_text(RIGHT)
        return cls(file, faketime.environment(library, file) | {"PYTHONPATH": str(_FAKED)})

    @contextmanager
    def set_to(self, offset: str) -> Iterator[None]:
        """Set it, as "+25h" or "-10m", and right again in the end."""
        self.file.write_text(offset)
        try:
            yield
        finally:
            self.file.write_text(RIGHT)

    def govern(self, redis: RedisServer) -> None:
        """Let this Redis, when it starts, go by this clock.

        It is the packaged one: libfaketime cannot start Debian's, whose jemalloc asks for the time before it is ready.
        """
        program = packaged_redis() or redis.choose_program()
        words = " ".join(f"{name}='{value}'" for name, value in self.variables.items())
        script = self.file.with_suffix(".redis-server")
        script.write_text(f"#!/bin/sh\nexec env {words} '{program}' \"$@\"\n", encoding="utf-8")
        script.chmod(0o755)
        redis.program = script
