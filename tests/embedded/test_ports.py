"""Tests that no port is given out twice."""

from embedded.ports import free_port, is_free


def test_a_port_is_not_given_out_twice_before_its_server_has_started() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)
    assert all(is_free(port) for port in ports[-5:])
