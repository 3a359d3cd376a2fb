"""Provides the fixture `forget_clients` of the engine's tests, which lets the engine make its clients again."""

from tests.realtime.conftest import forget_clients

__all__ = ["forget_clients"]
