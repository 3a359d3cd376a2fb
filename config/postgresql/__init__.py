"""Django's PostgreSQL back end, which never uses a connection that the server has closed, nor a server too old."""

OLDEST_POSTGRES = 15
"""The first version in which unique constraints take two NULLs for the same: they keep account names unique."""
