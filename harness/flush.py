"""Empties the tables of a test database between two tests, faster than Django's `flush`.

Django truncates every table and then makes all content types and permissions again. Here, the content types and the
permissions stay, and only tables with rows are emptied.
"""

from django.db import DEFAULT_DB_ALIAS, connections
from django.test import TransactionTestCase
from psycopg import sql

KEPT = frozenset({"auth_permission", "django_content_type"})
"""The tables that `migrate` fills and that no test changes."""
SMALL_BYTES = 256 * 1024
"""Up to this size, deleting the rows of a table is faster than truncating it."""

_EMPTY = """
DO $$
DECLARE
  name regclass;
BEGIN
  -- Foreign keys and triggers do not look at the deletions.
  SET LOCAL session_replication_role = replica;
  -- Wait for transactions that still write, as TRUNCATE does. Else they might leave rows behind.
  LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;
  FOREACH name IN ARRAY ARRAY[{names}]::regclass[] LOOP
    IF pg_relation_size(name) > {small} THEN
      EXECUTE format('TRUNCATE %s CASCADE', name);
    ELSIF pg_relation_size(name) > 0 THEN
      EXECUTE format('DELETE FROM %s', name);
    END IF;
  END LOOP;
END $$
"""


def empty_tables() -> None:
    """Delete all rows of the models' tables, except those of the tables KEPT."""
    connection = connections[DEFAULT_DB_ALIAS]
    tables = sorted({*connection.introspection.django_table_names(only_existing=True, include_views=False)} - KEPT)
    statement = sql.SQL(_EMPTY).format(
        tables=sql.SQL(", ").join(map(sql.Identifier, tables)),
        names=sql.SQL(", ").join(sql.Literal(sql.Identifier(table).as_string()) for table in tables),
        small=sql.Literal(SMALL_BYTES),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.as_string())


def use_fast_flush() -> None:
    """Let all tests with `django_db(transaction=True)` end with `empty_tables`."""
    setattr(TransactionTestCase, "_fixture_teardown", lambda _test: empty_tables())  # noqa: B010 - mypy refuses an assignment
