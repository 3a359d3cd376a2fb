"""Tests that a flood of sign-ins to existing or unknown accounts of one academy does not affect other academies."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import pytest

from harness.hashing import SLOW_HASHES
from harness.system import PASSWORD, System

FLOOD = 30


def sign_in(address: str, username: str, password: str) -> httpx.Response:
    account = {"tenant": "hanbit", "username": username, "password": password}
    return httpx.post(f"{address}/api/v1/auth/token/", json=account, timeout=60)


def statuses(flood: "list[Future[httpx.Response]]") -> Counter[int]:
    return Counter(future.result().status_code for future in flood)


@pytest.mark.parametrize(("password", "number"), [("wrong", 12), (PASSWORD, FLOOD)])
def test_a_flood_of_sign_ins_does_not_occupy_the_only_database_connection(
    own_system: System, password: str, number: int
) -> None:
    headers = {"Authorization": f"Bearer {own_system.access_token('saebom', 'owner')}"}
    name = "student" if password == PASSWORD else "stranger-{}"
    with (
        own_system.another_web(DATABASE_POOL_SIZE="1", PASSWORD_HASHING_THREADS="1", **SLOW_HASHES) as web,
        ThreadPoolExecutor(number) as pool,
        httpx.Client(timeout=60, headers=headers) as other,
    ):
        flood = [pool.submit(sign_in, web.address, name.format(one), password) for one in range(number)]
        answers = []
        while not all(future.done() for future in flood):
            answers.append(other.get(f"{web.address}/api/v1/lectures/").status_code)
            wait(flood, timeout=0.02)  # a pause, so that these requests leave the processor to the sign-ins
        found = statuses(flood)
    assert set(answers) == {200}
    assert len(answers) >= number  # the other academy got at least one answer for each sign-in
    # 503: on a busy machine, some sign-ins wait too long in the hashing queue. 429: the account has reached its limit.
    # A sign-in counts 1 towards this limit, and only one half once it has succeeded. So the fewer sign-ins run at the
    # same time, the more of them succeed.
    if password == PASSWORD:
        assert set(found) <= {200, 429, 503}
        assert found[200] <= 19  # of one account at one address, at most 19 succeed in a minute
        assert found[429]
    else:
        assert set(found) <= {401, 503}
        assert found[401]


def test_too_many_attempts_are_refused_before_anything_is_hashed(own_system: System) -> None:
    with own_system.another_web(SIGN_IN_ADDRESS_LIMIT="10") as web, ThreadPoolExecutor(FLOOD) as pool:
        flood = [pool.submit(sign_in, web.address, f"stranger-{number}", "wrong") for number in range(FLOOD)]
        refused = [future.result() for future in flood if future.result().status_code == 429]
    assert statuses(flood) == {401: 10, 429: FLOOD - 10}
    assert {answer.json()["code"] for answer in refused} == {"throttled"}
    assert all(0 < int(answer.headers["Retry-After"]) <= 60 for answer in refused)
