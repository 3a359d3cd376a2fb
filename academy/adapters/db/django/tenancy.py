"""The tenant wall: every query of a tenant's rows starts here, and nowhere else."""

from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def rows_of(tenant_id: int, model: type[Row]) -> QuerySet[Row]:
    """The rows of one tenant. Another tenant's row is not there: its id answers as one that does not exist."""
    return model._default_manager.filter(tenant_id=tenant_id)  # noqa: SLF001 - the manager of a model given as a type
