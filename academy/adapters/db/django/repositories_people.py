"""Queries on the accounts of an academy: list, add, change, close and open them. Operators are never among them."""

from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Value, When

from academy.adapters.db.django.patience import limit_waiting
from academy.adapters.db.django.repositories_core import create_account, revoke_users
from academy.adapters.db.django.session_triggers import revoked_by_caller
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.hangul import search_pattern
from academy.domain.roles import Role
from apps.core.models import LoginSession, Tenant, TenantMembership, User
from apps.domains.students.models import Parent, Student

_ORDER = (Role.OWNER, Role.STAFF, Role.TEACHER, Role.PARENT, Role.STUDENT)
"""The order of roles in a list: the few people who work at the academy come before its many parents and students."""
_RANK = Case(*(When(role=role, then=Value(rank)) for rank, role in enumerate(_ORDER)))


class UsernameTakenError(Exception):
    """There is another account with this user name in the academy."""


class ParentMissingError(Exception):
    """No student of the academy has a parent with this phone number, or that parent already has an account."""


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """An account whose row is locked until the transaction ends."""

    id: int
    role: Role
    name: str
    active: bool


def people_of(
    tenant_id: int, *, search: str | None = None, role: Role | None = None, active: bool | None = None
) -> QuerySet[User]:
    """Return the accounts of an academy, sorted by role and name, each with `role`, `last_used_at` and `one_time_code`.

    An account is found if each word of `search` is in its name or in its user name. Hangul is also found by initial
    consonants. `last_used_at` is when the account last signed in or refreshed its tokens. It is None if the account has
    not signed in for some weeks.
    """
    sign_ins = LoginSession.objects.filter(user=OuterRef("pk")).order_by("-last_used_at").values("last_used_at")
    people = rows_of(tenant_id, User).filter(memberships__tenant_id=tenant_id, is_superuser=False)
    people = people.annotate(role=F("memberships__role"), last_used_at=Subquery(sign_ins[:1]))
    if role is not None:
        people = people.filter(role=role)
    if active is not None:
        people = people.filter(is_active=active)
    for word in (search or "").split():
        pattern = search_pattern(word)
        named = Q(name__icontains=word) if pattern is None else Q(name__regex=pattern)
        people = people.filter(named | Q(username__icontains=word))
    return people.select_related("one_time_code").order_by(_RANK, "name", "username", "pk")


def find_person(tenant_id: int, user_id: int) -> User | None:
    return people_of(tenant_id).filter(pk=user_id).first()


def lock_accounts(tenant_id: int, *user_ids: int) -> dict[int, LockedAccount]:
    """Lock accounts of an academy until the transaction ends. Return a dict from id to account.

    Ids without an account are left out. The academy's row is locked, too, so that two changes of roles run one after
    the other, and the second reads what the first has written. Raises OperationalError if another transaction keeps a
    lock for too long.
    """
    limit_waiting()
    Tenant.objects.select_for_update(no_key=True).filter(pk=tenant_id).first()
    found = rows_of(tenant_id, TenantMembership).filter(
        user_id__in=user_ids, user__tenant_id=tenant_id, user__is_superuser=False
    )
    locked = found.select_related("user").select_for_update(no_key=True, of=("self", "user")).order_by("user_id")
    return {
        row.user_id: LockedAccount(row.user_id, Role(row.role), row.user.name, row.user.is_active) for row in locked
    }


def add_person(tenant_id: int, *, role: Role, name: str, username: str) -> int:
    """Add an account that nobody can sign in to before it gets a one-time code. Return its id.

    Raises UsernameTakenError if another account of the academy has this user name.
    """
    tenant = Tenant.objects.get(pk=tenant_id)
    try:
        with transaction.atomic():
            return create_account(tenant, username, name, role, make_password(None)).pk
    except IntegrityError:
        raise UsernameTakenError(UsernameTakenError.__doc__) from None


def link_parent(tenant_id: int, user_id: int, phone: str) -> None:
    """Make this the account of the parent with this phone number (11 digits).

    Raises ParentMissingError if no parent has this number, or if the parent has an account already.
    """
    if not rows_of(tenant_id, Parent).filter(phone=phone, user=None).update(user_id=user_id):
        raise ParentMissingError(ParentMissingError.__doc__)


def student_of(tenant_id: int, user_id: int) -> Student | None:
    """Return the student who has this account, even if the student was deleted. Return None if there is none."""
    return rows_of(tenant_id, Student).filter(user_id=user_id).first()


def set_name(tenant_id: int, user_id: int, name: str) -> None:
    rows_of(tenant_id, User).filter(pk=user_id).update(name=name)


def set_role(tenant_id: int, user_id: int, role: Role) -> None:
    """Give an account another role. Its tokens and connections end at once; its sign-ins go on with the new role."""
    with transaction.atomic():
        with revoked_by_caller():
            rows_of(tenant_id, TenantMembership).filter(user_id=user_id).update(role=role)
        revoke_users(tenant_id, user_id)


def set_active(tenant_id: int, user_id: int, *, active: bool) -> None:
    """Open or close an account. When it is closed, its sign-ins, tokens and connections end at once."""
    with transaction.atomic():
        rows_of(tenant_id, User).filter(pk=user_id).update(is_active=active)
        if not active:
            revoke_users(tenant_id, user_id)
