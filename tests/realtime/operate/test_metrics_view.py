"""Tests of who may read the metrics."""

from typing import Any

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from realtime.operate.metrics_view import metrics_view


@pytest.fixture
def requests() -> RequestFactory:
    return RequestFactory()


def status(request: Any) -> int:
    return metrics_view(request).status_code


def test_without_a_token_only_the_machine_itself_may_read_metrics(requests: RequestFactory) -> None:
    assert status(requests.get("/metrics", REMOTE_ADDR="127.0.0.1")) == 200
    assert status(requests.get("/metrics", REMOTE_ADDR="10.0.0.9")) == 401
    assert status(requests.get("/metrics", REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": "10.0.0.9"})) == 401


def test_with_a_token_only_requests_that_have_it_may_read_metrics(requests: RequestFactory, settings: Settings) -> None:
    settings.REALTIME_METRICS_TOKEN = "of-the-scraper"
    right = {"Authorization": "Bearer of-the-scraper"}
    assert status(requests.get("/metrics", REMOTE_ADDR="10.0.0.9", headers=right)) == 200
    for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer ofthéscraper"}):
        assert status(requests.get("/metrics", REMOTE_ADDR="127.0.0.1", headers=wrong)) == 401
