"""Tests that code reads rows only through the tenant wall. The exceptions are listed here."""

import ast
from pathlib import Path

from django.apps import apps
from django.db.models import Model

from embedded.home import PROJECT

BEHIND_THE_WALL = (
    "academy/adapters/db/django/",
    "realtime/outbox/outbox.py",
    "realtime/outbox/source.py",
    "realtime/outbox/claims.py",
    "realtime/outbox/refill_redis.py",
    "realtime/outbox/relay.py",
    "realtime/outbox/revoke.py",
)
"""Where models may be queried: in the repositories, and in the outbox. The outbox belongs to the installation, and each
of its rows names a tenant."""
RAW_SQL = (
    "academy/adapters/db/django/",
    "realtime/outbox/claims.py",  # claims rows and returns them in one statement
    "realtime/outbox/lease.py",  # takes or renews the lease in one statement
    "realtime/outbox/revoke.py",  # stores the time of a revocation only once
    "realtime/indexes.py",  # checks an index in a migration
    "realtime/operate/doctor_clocks.py",  # reads the clock of the database
    "realtime/outbox/outbox.py",  # sets the time limit of a scrape's queries
    "apps/domains/students/services/chunks.py",
)
MANAGERS = {"objects", "_default_manager", "_base_manager"}
SQL_DOORS = {"cursor", "raw", "RawSQL", "extra"}


def sources() -> list[Path]:
    """Return the files of the product's own code, without migrations."""
    found = [path for root in ("academy", "apps", "config", "realtime") for path in (PROJECT / root).rglob("*.py")]
    return [path for path in [*found, PROJECT / "asgi.py"] if "migrations" not in path.parts]


def places(names: set[str]) -> set[str]:
    """Return the files that contain `<something>.<one of these names>`."""
    found = set()
    for path in sources():
        nodes = ast.walk(ast.parse(path.read_text()))
        if any(isinstance(node, ast.Attribute) and node.attr in names for node in nodes):
            found.add(path.relative_to(PROJECT).as_posix())
    return found


def test_only_repositories_and_the_outbox_read_rows() -> None:
    assert [place for place in sorted(places(MANAGERS)) if not place.startswith(BEHIND_THE_WALL)] == []


def test_only_repositories_write_sql() -> None:
    assert [place for place in sorted(places(SQL_DOORS)) if not place.startswith(RAW_SQL)] == []


def tenant_models() -> list[type[Model]]:
    return [model for model in apps.get_models() if hasattr(model, "tenant_id")]


def test_rows_of_a_tenant_are_read_through_the_wall() -> None:
    """In the repositories, a query on a model with a tenant begins with `rows_of`, or names the tenant.

    The exceptions are in `ACROSS_TENANTS`.
    """
    names = {model.__name__ for model in tenant_models()}
    bare = [
        f"{path.name}: {_model_of(node)}.objects, line {node.lineno}"
        for path in sorted((PROJECT / "academy/adapters/db/django").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _model_of(node) in names and not _names_tenant(node)
    ]
    assert [place for place in bare if not place.startswith(ACROSS_TENANTS)] == []


ACROSS_TENANTS = (
    "repositories_core.py: User.objects",  # finds accounts by the id in a token, or by academy and user name
    "repositories_core.py: TenantMembership.objects",  # creates the row of a new account, with the tenant as an object
    "repositories_ai.py: AIJob.objects",  # finds the tenant of a job for old messages; chooses the next jobs of all
    "repositories_video.py: Video.objects",  # repairs feeds and deletes files of all tenants
)


def _model_of(call: ast.Call) -> str | None:
    """Return X of `X.objects.something(…)`."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="objects")):
            return name
    return None


def _names_tenant(call: ast.Call) -> bool:
    return any(word.arg in {"tenant", "tenant_id", "job__tenant_id"} for word in call.keywords)


def test_every_row_of_an_academy_has_its_tenant() -> None:
    without = {model.__name__ for model in apps.get_models() if not hasattr(model, "tenant_id")}
    django_s = {"Permission", "Group", "ContentType"}
    operators = {"LogEntry", "Session"}
    engine_s = {"RelayLease"}  # the relay that does the work at the moment
    behind_another_row = {"Tenant", "LoginSession", "OneTimeCode", "AIJobResult", "ImportedRow", "Message"}
    assert without <= django_s | operators | engine_s | behind_another_row
