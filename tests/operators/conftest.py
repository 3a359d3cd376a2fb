"""Provides the fixture `forget_clients` of the engine's tests, which makes the engine create new Redis clients."""

from tests.realtime.conftest import forget_clients

__all__ = ["forget_clients"]
