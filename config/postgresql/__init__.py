"""Django's PostgreSQL back end, which also replaces closed connections, limits waiting, and refuses old servers."""

OLDEST_POSTGRES = 15
"""The first version with unique constraints for which NULLs are equal. Account names need them to be unique."""
