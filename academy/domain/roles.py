"""The roles of accounts within an academy."""

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    STAFF = "staff"
    TEACHER = "teacher"
    STUDENT = "student"
    PARENT = "parent"


OFFICE = frozenset({Role.OWNER, Role.STAFF})
"""The roles that run the academy. They may do everything in it."""

FACULTY = OFFICE | {Role.TEACHER}
"""The roles of those who work at the academy. They may read everything in it and watch every job."""

EVERYONE = frozenset(Role)
