"""The tenant wall: every query of a tenant's rows starts here, and nowhere else."""

from typing import TypeVar

from django.apps import apps
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def rows_of(tenant_id: int, model: type[Row]) -> QuerySet[Row]:
    """The rows of one tenant. Another tenant's row is not there: its id answers as one that does not exist."""
    return model._default_manager.filter(tenant_id=tenant_id)  # noqa: SLF001 - the manager of a model given as a type


def is_another_tenants(tenant_id: int, model_label: str, **ident: object) -> bool:
    """Return whether a row that `rows_of` did not show exists beyond the wall: for the audit log, never for answers."""
    model = apps.get_model(model_label)
    whose = "tenant_id" if hasattr(model, "tenant_id") else "user__tenant_id"
    found: QuerySet[Model] = model._default_manager.filter(**ident).exclude(**{whose: tenant_id})  # noqa: SLF001
    return found.exists()
