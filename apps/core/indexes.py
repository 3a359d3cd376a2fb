"""Index classes that Django lacks."""

from django.db import models


class LongNameIndex(models.Index):
    """An index whose name may be as long as PostgreSQL allows. Django allows 30 characters, because of Oracle."""

    max_name_length = 63
