"""Tests that a user id without a name, as in many containers, can run the embedded servers.

PostgreSQL refuses such an id, so `embedded.postgres_user` chooses another user for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from embedded import EmbeddedError, postgres_user
from embedded.home import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

_AS_A_NUMBER = """
import os, sys
from pathlib import Path
from embedded import EmbeddedError, child
try:
    child.map_to(12345)
except OSError as error:
    sys.exit(f"not possible here: {error}")
from embedded import PostgresServer, RedisServer, SqsServer
folder = Path(sys.argv[1])
print("user", os.geteuid(), os.path.expanduser("~"))
with RedisServer(folder / "redis"), SqsServer(folder / "sqs"), PostgresServer(folder / "postgres") as server:
    import psycopg
    with psycopg.connect(server.url) as connection:
        print("database of", connection.execute("select current_user").fetchone()[0])
"""


@pytest.mark.parametrize("home", [None, "/proc/nowhere"], ids=["without HOME", "with a HOME that cannot be"])
def test_the_servers_run_for_a_user_without_a_name(home: str | None, scratch: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    run = subprocess.run(
        [sys.executable, "-c", _AS_A_NUMBER, scratch / tmp_path.name],
        cwd=PROJECT,
        env=environment | ({"HOME": home} if home else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if "not possible here" in run.stderr:
        pytest.xfail(f"User namespaces are forbidden on this machine: {run.stderr.strip()}.")
    assert run.stdout.splitlines() == [f"user 12345 {home or '~'}", "database of academy"], run.stderr


def test_if_nothing_works_one_sentence_says_what_to_do(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(postgres_user, "_can_use", lambda *_: False)
    with pytest.raises(EmbeddedError, match=r"as user 12345, who has no name .* add a line .*DATABASE_URL"):
        postgres_user.choose(scratch, [])
