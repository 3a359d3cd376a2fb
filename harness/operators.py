"""Operators of the whole system, and the web process with the admin that they use."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from embedded.plan import Web
from harness.system import System

OPERATOR = "operator"
OPERATOR_PASSWORD = "operator-password-1"
_ACCOUNTS = """from apps.core.models import User
for name in {usernames}:
    if not User.objects.filter(username=name, tenant=None).exists():
        User.objects.create_superuser(name, {password!r})
"""


@contextmanager
def running_admin(system: System, *usernames: str) -> Iterator[Web]:
    """Give each named operator (default: `OPERATOR`) an account. Run a web process with the admin during the block."""
    system.shell(_ACCOUNTS.format(usernames=usernames or (OPERATOR,), password=OPERATOR_PASSWORD))
    with system.another_web(ADMIN_SITE="on") as web:
        yield web


def form_token(client: httpx.Client, path: str) -> str:
    """Open a page of the admin, and return the token that its forms are sent with."""
    page = client.get(path)
    assert page.status_code == 200, page.text[:500]
    (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text))
    return str(token)


def send_form(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Open a form of the admin, and send it with these values."""
    token = form_token(client, path)
    headers = {"Origin": str(client.base_url).rstrip("/"), "Referer": f"{client.base_url}{path}"}
    return client.post(path, data={"csrfmiddlewaretoken": token, **fields}, headers=headers)


def sign_in_operator(
    client: httpx.Client, username: str = OPERATOR, password: str = OPERATOR_PASSWORD, goal: str = "/admin/"
) -> httpx.Response:
    """Sign in to the admin, and return the page that follows, which is `goal` if the sign-in succeeds."""
    return send_form(client, "/admin/login/", username=username, password=password, next=goal)
