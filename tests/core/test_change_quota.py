"""Tests of the quota of changes: who is refused, what still works then, and that no endpoint is left out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings
from rest_framework.views import APIView

from academy.domain.roles import Role
from apps.core.change_quota import ChangeQuota
from apps.core.models import User
from tests.core.conftest import Asks

WITHOUT = {"LogoutView", "PasswordView", "SessionListView", "SessionView", "PersonCloseView"}
"""The views without this quota: they take access away."""


@pytest.fixture(autouse=True)
def small(settings: Settings) -> None:
    settings.QUOTA_CHANGES_PER_USER, settings.QUOTA_CHANGES_PER_TENANT = 3, 5


def add_lecture(client: Client) -> Any:
    return client.post("/api/v1/lectures/", {"title": "수학"}, "application/json")


def add_person(client: Client) -> Any:
    person = {"role": "teacher", "name": "김하나", "username": f"kim{User.objects.count()}"}
    return client.post("/api/v1/people/", person, "application/json")


@pytest.mark.parametrize("change", [add_lecture, add_person])
def test_a_user_who_changes_too_much_waits_and_colleagues_do_not(asks: Asks, change: Callable[[Client], Any]) -> None:
    eager, colleague = asks(), asks(Role.STAFF)
    assert [change(eager).status_code for _ in range(4)] == [201, 201, 201, 429]
    refused = change(eager)
    assert refused.json()["code"] == "quota_changes"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert eager.get("/api/v1/lectures/").status_code == 200
    assert change(colleague).status_code == 201


def test_all_users_of_an_academy_share_its_quota(asks: Asks) -> None:
    first, second = asks(), asks()
    assert [add_lecture(first).status_code for _ in range(3)] == [201] * 3
    assert [add_lecture(second).status_code for _ in range(3)] == [201, 201, 429]


def test_a_request_without_permission_does_not_count(asks: Asks) -> None:
    teacher = asks(Role.TEACHER)
    assert {add_lecture(teacher).status_code for _ in range(9)} == {403}
    assert [add_lecture(asks()).status_code for _ in range(3)] == [201] * 3


def test_access_can_be_taken_away_when_the_quota_is_used_up(asks: Asks) -> None:
    owner = asks()
    person = add_person(owner).json()["id"]
    while add_lecture(owner).status_code != 429:
        pass
    assert owner.post(f"/api/v1/people/{person}/close/").status_code == 200
    assert owner.delete(f"/api/v1/auth/sessions/?user={person}").status_code == 200
    assert owner.post("/api/v1/auth/logout/").status_code == 204


def views(resolver: URLResolver) -> Iterator[type[APIView]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "view_class"):
            yield pattern.callback.view_class


def test_every_endpoint_that_changes_something_counts_except_those_that_take_access_away() -> None:
    changing = {
        view
        for view in views(get_resolver())
        if any(hasattr(view, method) for method in ("post", "put", "patch", "delete"))
    }
    assert len(changing) > 20
    assert {view.__name__ for view in changing if ChangeQuota not in view.throttle_classes} == WITHOUT
