"""Tests of the engine's settings: a frozen object that is read from Django's settings when first needed."""

from dataclasses import FrozenInstanceError

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from realtime import conf
from realtime.settings import REQUIRED, Settings, variable


class Project:
    """The settings of a project."""

    REALTIME_REDIS_URL = "redis://redis.example.com:6379/0"
    REALTIME_PING_SECONDS = 5
    REALTIME_ALLOWED_ORIGINS = ("https://a.example", "https://b.example")
    REALTIME_TOPIC_RULES = None


def test_unset_settings_have_defaults_and_none_counts_as_unset() -> None:
    read = Settings.read(Project())
    assert (read.redis_url, read.ping_seconds) == ("redis://redis.example.com:6379/0", 5.0)
    assert read.allowed_origins == ("https://a.example", "https://b.example")
    assert (read.topic_rules, read.slow_seconds, read.legacy_keys) == ("", 30.0, "off")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        conf.settings().ping_seconds = 1.0  # type: ignore[misc]


def test_an_overridden_setting_is_read_again_and_restored() -> None:
    before = conf.settings().ping_seconds
    with override_settings(REALTIME_PING_SECONDS=0.5):
        assert (conf.settings().ping_seconds, conf.timing().ping) == (0.5, 0.5)
    assert conf.settings().ping_seconds == before


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_setting_that_is_missing_is_named(name: str) -> None:
    with (
        override_settings(**{variable(name): ""}),
        pytest.raises(ImproperlyConfigured, match=f"{variable(name)} is not set"),
    ):
        conf.required(name)
