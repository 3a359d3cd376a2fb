"""Who somebody is within an academy, and what that opens."""

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    STAFF = "staff"
    TEACHER = "teacher"
    STUDENT = "student"
    PARENT = "parent"


OFFICE = frozenset({Role.OWNER, Role.STAFF})
"""Those who run the academy: everything is open to them."""

FACULTY = OFFICE | {Role.TEACHER}
"""Those who work there: they read everything, and follow every job."""

EVERYONE = frozenset(Role)
