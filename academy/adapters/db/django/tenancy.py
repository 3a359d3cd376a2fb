"""The tenant wall: every query of a tenant's rows starts here, and nowhere else."""

from collections.abc import Sequence
from typing import TypeVar

from django.apps import apps
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def rows_of(tenant_id: int, model: type[Row]) -> QuerySet[Row]:
    """The rows of one tenant. Another tenant's row is not there: its id answers as one that does not exist."""
    return model._default_manager.filter(tenant_id=tenant_id)  # noqa: SLF001 - the manager of a model given as a type


def other_tenants(tenant_id: int, model_label: str, field: str, values: Sequence[object]) -> list[object]:
    """Return those of the values that name a row beyond the wall: for the audit log, never for answers."""
    model = apps.get_model(model_label)
    whose = "tenant_id" if hasattr(model, "tenant_id") else "user__tenant_id"
    found: QuerySet[Model] = model._default_manager.filter(**{f"{field}__in": values})  # noqa: SLF001
    return list(found.exclude(**{whose: tenant_id}).order_by("pk").values_list(field, flat=True))
