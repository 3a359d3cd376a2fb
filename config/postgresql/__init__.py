"""Extends Django's PostgreSQL back end: replaces closed connections, limits waits and refuses old servers."""

OLDEST_POSTGRES = 15
"""The first version whose unique constraints can treat NULLs as equal.

The constraint on account names does so: operators have no tenant, and their names must be unique too.
"""
