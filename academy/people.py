"""What the office may do with the accounts of its academy.

Owners manage every account. Staff manage the accounts of teachers, students and parents. Nobody changes their own role
or closes their own account. So at least one owner always remains: only another owner can change the role of an owner
or close an owner's account.

The rules are checked against the roles in the database, under a lock, and not against the roles in tokens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from academy.adapters.db.django import repositories_codes, repositories_people
from academy.adapters.db.django.repositories_people import LockedAccount
from academy.domain.roles import OFFICE, Role, may_manage


class PersonError(Exception):
    """An account may not be changed in this way. `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PersonMissingError(Exception):
    """The academy has no such account."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of an account has changed.

    Both roles are None if the role stayed the same. `name` tells whether the name is another one now.
    """

    role_before: Role | None = None
    role: Role | None = None
    name: bool = False


def add(tenant_id: int, actor_id: int, *, role: Role, name: str, username: str, parent_phone: str | None = None) -> int:
    """Add an account, and return its id. Nobody can sign in to it before it gets a one-time code.

    `parent_phone` are the 11 digits by which a parent's account is connected with the children. Raises PersonError if
    the rules forbid this account, UsernameTakenError if the user name is taken, and ParentMissingError if no parent
    without an account has this phone number.
    """
    if role is Role.STUDENT:
        raise PersonError("student_account", "A student gets an account when the student is added to the students.")
    with transaction.atomic():
        actor = _actor(repositories_people.lock_accounts(tenant_id, actor_id), actor_id)
        _check(actor, role)
        user_id = repositories_people.add_person(tenant_id, role=role, name=name, username=username)
        if parent_phone is not None:
            repositories_people.link_parent(tenant_id, user_id, parent_phone)
    return user_id


def change(tenant_id: int, actor_id: int, user_id: int, *, name: str | None = None, role: Role | None = None) -> Change:
    """Change the name or the role of an account.

    Raises PersonError if the rules forbid the change, and PersonMissingError if there is no such account.
    """
    with _managed(tenant_id, actor_id, user_id) as (actor, account):
        if name == account.name:
            name = None
        if role == account.role:
            role = None
        if (name is not None or role is not None) and repositories_people.student_of(tenant_id, user_id):
            raise PersonError("student_account", "This is the account of a student: change the student instead.")
        if role is not None:
            _check_other(actor, account, "Nobody changes their own role: ask another owner.")
            _check(actor, role)
            if role is Role.STUDENT:
                raise PersonError("student_account", "Only accounts that came with a student have this role.")
            repositories_people.set_role(tenant_id, user_id, role)
        if name is not None:
            repositories_people.set_name(tenant_id, user_id, name)
    return Change(account.role if role is not None else None, role, name is not None)


def close(tenant_id: int, actor_id: int, user_id: int) -> bool:
    """Close an account, and end its sign-ins and connections. Return False if it is closed already.

    Raises PersonError if the rules forbid this, and PersonMissingError if there is no such account.
    """
    with _managed(tenant_id, actor_id, user_id) as (actor, account):
        _check_other(actor, account, "Nobody closes their own account: ask another owner.")
        if account.active:
            repositories_people.set_active(tenant_id, user_id, active=False)
    return account.active


def reopen(tenant_id: int, actor_id: int, user_id: int) -> bool:
    """Open a closed account again, with its old password. Return False if it is open already.

    Raises PersonError if the rules forbid this, and PersonMissingError if there is no such account.
    """
    with _managed(tenant_id, actor_id, user_id) as (_actor_account, account):
        student = repositories_people.student_of(tenant_id, user_id)
        if student is not None and student.deleted_at is not None:
            raise PersonError("student_removed", "The student was removed: restore the student instead.")
        if not account.active:
            repositories_people.set_active(tenant_id, user_id, active=True)
    return not account.active


def issue_code(tenant_id: int, actor_id: int, user_id: int, *, code_hash: str, seconds: int) -> datetime:
    """Store the hash of a new one-time code for an account, in place of an earlier code. Return its time of expiry.

    Raises PersonError if the rules forbid this, and PersonMissingError if there is no such account.
    """
    with _managed(tenant_id, actor_id, user_id) as (actor, account):
        _check_other(actor, account, "Nobody gets a code from themselves: change your password instead.")
        if not account.active:
            raise PersonError("account_inactive", "The account is closed: open it before you issue a code.")
        return repositories_codes.put_code(user_id, issued_by=actor.id, code_hash=code_hash, seconds=seconds)


@contextmanager
def _managed(tenant_id: int, actor_id: int, user_id: int) -> Iterator[tuple[LockedAccount, LockedAccount]]:
    """Lock two accounts until the block ends, and yield them: the one that acts, and the one that is changed.

    Raises PersonError if the first may not change the second, and PersonMissingError if the second does not exist.
    """
    with transaction.atomic():
        accounts = repositories_people.lock_accounts(tenant_id, actor_id, user_id)
        actor = _actor(accounts, actor_id)
        account = accounts.get(user_id)
        if account is None:
            raise PersonMissingError(PersonMissingError.__doc__)
        if account.id != actor.id:
            _check(actor, account.role)
        yield actor, account


def _actor(accounts: dict[int, LockedAccount], actor_id: int) -> LockedAccount:
    actor = accounts.get(actor_id)
    if actor is None or not actor.active or actor.role not in OFFICE:
        raise PersonError("role_refused", "Your own account was changed at this moment: it may not do this any more.")
    return actor


def _check(actor: LockedAccount, role: Role) -> None:
    if not may_manage(actor.role, role):
        raise PersonError("role_refused", "Only owners manage the accounts of owners and staff.")


def _check_other(actor: LockedAccount, account: LockedAccount, message: str) -> None:
    if actor.id == account.id:
        raise PersonError("own_account", message)
