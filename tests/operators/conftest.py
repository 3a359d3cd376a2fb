"""Reuse the fixture of the engine's own tests that makes new publishers and clients."""

from tests.realtime.conftest import forget_clients

__all__ = ["forget_clients"]
