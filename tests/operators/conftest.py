"""What a process keeps of the engine, made anew as in the engine's own tests."""

from tests.realtime.conftest import anew

__all__ = ["anew"]
