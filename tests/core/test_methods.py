"""Tests that an HTTP method without a handler gets a 405, and that a method which no role may use gets a 403."""

from typing import Any
from uuid import UUID

import pytest
from django.urls import path
from pytest_django import Settings
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.domain.roles import EVERYONE, FACULTY, Role
from tests.core.conftest import Asks

WRONG = {
    "/api/v1/students/": ["PUT", "PATCH", "DELETE", "TRACE", "ROLES"],
    "/api/v1/students/1/": ["POST", "PUT"],
    "/api/v1/students/import/": ["GET", "HEAD", "PUT", "DELETE"],
    "/api/v1/lectures/": ["DELETE"],
    "/api/v1/lectures/1/students/": ["GET", "DELETE"],
    "/api/v1/lessons/1/": ["PUT", "POST"],
    "/api/v1/my/lectures/": ["POST"],
    "/api/v1/enrolments/1/": ["GET", "PATCH"],
    f"/api/v1/jobs/{UUID(int=1)}/": ["POST", "DELETE"],
    f"/api/v1/jobs/{UUID(int=1)}/progress/": ["POST"],
    f"/api/v1/jobs/{UUID(int=1)}/cancel/": ["GET"],
    "/api/v1/auth/logout/": ["GET"],
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("address", "method"), [(address, method) for address in WRONG for method in WRONG[address]])
def test_a_method_that_a_view_does_not_have_is_answered_with_405_for_everybody(
    asks: Asks, role: Role, address: str, method: str
) -> None:
    answer = asks(role).generic(method, address)
    assert answer.status_code == 405
    assert method not in answer["Allow"].split(", ")
    assert method == "HEAD" or answer.json()["code"] == "method_not_allowed"


class Forgetful(APIView):
    """A view whose DELETE has no roles."""

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    def get(self, _request: Any) -> Response:
        return Response({})

    def delete(self, _request: Any) -> Response:
        raise AssertionError("nobody may come here")


urlpatterns = [path("forgetful/", Forgetful.as_view())]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", ["DELETE", "OPTIONS"])
def test_a_method_without_roles_is_refused_to_everybody(
    asks: Asks, settings: Settings, role: Role, method: str
) -> None:
    settings.ROOT_URLCONF = "tests.core.test_methods"
    answer = asks(role).generic(method, "/forgetful/")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")


def test_without_a_token_nobody_learns_which_methods_there_are(asks: Asks) -> None:
    answer = asks().generic("PUT", "/api/v1/students/", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize("role", sorted(EVERYONE - FACULTY))
def test_a_role_that_is_not_named_is_refused_as_before(asks: Asks, role: Role) -> None:
    answer = asks(role).get("/api/v1/lectures/")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")
