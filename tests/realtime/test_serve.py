"""Tests of the options of `realtime.serve`."""

from realtime.serve import server_of

BALANCERS_SECONDS = 60
"""How many seconds nginx and the load balancers of clouds keep an idle connection to a server by default."""


def test_idle_connections_stay_open_longer_than_in_a_load_balancer() -> None:
    """If the server closed first, a request might be on its way, and the load balancer would answer it with 502."""
    assert server_of("asgi:application").config.timeout_keep_alive > BALANCERS_SECONDS


def test_the_time_for_idle_connections_is_an_option() -> None:
    assert server_of("asgi:application", keep_alive_seconds=650.5).config.timeout_keep_alive == 650.5
