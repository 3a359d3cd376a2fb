"""What this back end needs of PostgreSQL beyond what Django needs."""

from django.db.backends.postgresql import features

from config.postgresql import OLDEST_POSTGRES


class DatabaseFeatures(features.DatabaseFeatures):
    """Django compares the version at the first connection of each process."""

    minimum_database_version = (OLDEST_POSTGRES,)
