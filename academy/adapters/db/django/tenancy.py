"""The tenant wall: a query of a tenant's rows begins with `rows_of`, or names the tenant itself.

`tests/core/test_tenant_wall.py` checks this, and lists the exceptions.
"""

from collections.abc import Sequence
from typing import TypeVar

from django.apps import apps
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def rows_of(tenant_id: int, model: type[Row]) -> QuerySet[Row]:
    """Return a query for the rows of one tenant. A filter by the id of another tenant's row finds nothing."""
    return model._default_manager.filter(tenant_id=tenant_id)  # noqa: SLF001 - the manager of a model given as a type


def other_tenants(tenant_id: int, model_label: str, field: str, values: Sequence[object]) -> list[object]:
    """Return which of `values` occur in `field` of other tenants' rows. Only the audit log may call this."""
    model = apps.get_model(model_label)
    whose = "tenant_id" if hasattr(model, "tenant_id") else "user__tenant_id"
    found: QuerySet[Model] = model._default_manager.filter(**{f"{field}__in": values})  # noqa: SLF001
    return list(found.exclude(**{whose: tenant_id}).order_by("pk").values_list(field, flat=True))
