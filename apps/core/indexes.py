"""Index classes that Django lacks."""

from django.db import models


class LongNameIndex(models.Index):
    """An index whose name may be as long as PostgreSQL allows; Django stops at 30 letters for Oracle's sake."""

    max_name_length = 63
