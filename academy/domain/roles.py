"""The roles of accounts within an academy."""

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    STAFF = "staff"
    TEACHER = "teacher"
    STUDENT = "student"
    PARENT = "parent"


OFFICE = frozenset({Role.OWNER, Role.STAFF})
"""The roles that run the academy. They may change everything in it, but staff may not manage the office's accounts."""

FACULTY = OFFICE | {Role.TEACHER}
"""The roles of those who work at the academy. They may watch every job. Each view decides what else they may read."""

EVERYONE = frozenset(Role)


def may_manage(own: Role, other: Role) -> bool:
    """Return whether somebody with the role `own` may manage accounts with the role `other`.

    Owners manage all accounts of their academy. Staff manage all but those of owners and staff.
    """
    return own is Role.OWNER or (own is Role.STAFF and other not in OFFICE)
