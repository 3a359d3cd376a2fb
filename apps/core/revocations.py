"""What ends sessions besides a logout: a changed role, a removed membership, a closed account, a suspended academy.

Signals, because these changes come from many places: an admin, a command, a shell.
"""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from academy.adapters.db.django import repositories_core
from apps.core.models import Tenant, TenantMembership, User
from realtime.revoke import revoke_on_commit


def _revoke(tenant_id: int, user_id: int | None = None) -> None:
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=user_id)


@receiver(pre_save, sender=TenantMembership)
def note_role(sender: Any, instance: TenantMembership, **kwargs: Any) -> None:  # noqa: ARG001 - Django's signature
    """Remembers the role that stands in the database, so that saving without a change ends nothing."""
    instance.role_before = repositories_core.stored_role(instance) if instance.pk else None  # type: ignore[attr-defined]


@receiver(post_save, sender=TenantMembership)
def revoke_changed_role(sender: Any, instance: TenantMembership, **kwargs: Any) -> None:  # noqa: ARG001
    if instance.role_before not in {None, instance.role}:  # type: ignore[attr-defined]
        _revoke(instance.tenant_id, instance.user_id)


@receiver(post_delete, sender=TenantMembership)
def revoke_removed_membership(sender: Any, instance: TenantMembership, **kwargs: Any) -> None:  # noqa: ARG001
    _revoke(instance.tenant_id, instance.user_id)


@receiver(post_save, sender=User)
def revoke_closed_account(sender: Any, instance: User, created: bool, **kwargs: Any) -> None:  # noqa: ARG001, FBT001
    if not created and not instance.is_active and instance.tenant_id is not None:
        _revoke(instance.tenant_id, instance.pk)


@receiver(post_save, sender=Tenant)
def revoke_suspended_academy(sender: Any, instance: Tenant, created: bool, **kwargs: Any) -> None:  # noqa: ARG001, FBT001
    if not created and not instance.active:
        _revoke(instance.pk)
