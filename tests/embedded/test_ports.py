"""Tests that no port is given out twice."""

import pytest

from embedded import ports
from embedded.errors import EmbeddedError
from embedded.ports import free_port, is_free, keep


def test_a_port_is_not_given_out_twice_before_its_server_has_started() -> None:
    given = [free_port() for _ in range(300)]
    assert len(set(given)) == len(given)
    assert all(is_free(port) for port in given[-5:])


def test_a_port_that_is_kept_for_a_server_is_given_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_kept", set())
    monkeypatch.setattr(ports, "_chosen", [])
    first = free_port()
    monkeypatch.setattr(ports, "_chosen", [])
    keep(first)
    monkeypatch.setenv("PORT_SHARE", f"{first - ports._LOWEST}/{ports._below_ephemeral() - ports._LOWEST}")
    assert not is_free(first)
    with pytest.raises(EmbeddedError, match="No free TCP port"):  # the share has no other port
        free_port()
