"""Tests that migrations which add an index without a lock also run on a database that is not PostgreSQL."""

from django.db import models
from django.db.migrations.state import ModelState, ProjectState
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from realtime.indexes import AddIndexUnlocked


def test_on_sqlite_an_index_is_added_and_removed_as_usual(django_db_blocker: DjangoDbBlocker) -> None:
    before = ProjectState()
    fields: list[tuple[str, models.Field[object, object]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("kind", models.TextField()),
    ]
    before.add_model(ModelState("engine", "Entry", fields))
    operation = AddIndexUnlocked("Entry", models.Index(fields=["kind"], name="idx_kind"))
    after = before.clone()
    operation.state_forwards("engine", after)
    sqlite = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})["default"]

    def has_index() -> bool:
        with sqlite.cursor() as cursor:
            return "idx_kind" in sqlite.introspection.get_constraints(cursor, "engine_entry")

    with django_db_blocker.unblock():
        with sqlite.schema_editor(atomic=False) as editor:
            editor.create_model(before.apps.get_model("engine", "Entry"))
            operation.database_forwards("engine", editor, before, after)
        assert has_index()
        with sqlite.schema_editor(atomic=False) as editor:
            operation.database_backwards("engine", editor, after, before)
        assert not has_index()
        sqlite.close()
