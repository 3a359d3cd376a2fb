"""Tells Django which version of PostgreSQL this back end requires."""

from django.db.backends.postgresql import features

from config.postgresql import OLDEST_POSTGRES


class DatabaseFeatures(features.DatabaseFeatures):
    """Requires a minimum version, which Django checks at the first connection of each process."""

    minimum_database_version = (OLDEST_POSTGRES,)
