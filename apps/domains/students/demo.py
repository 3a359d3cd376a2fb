"""Creates the demo students of an academy."""

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random

from django.contrib.auth.hashers import make_password
from django.db import models, transaction

from academy.adapters.db.django.repositories_students import Key
from academy.adapters.excel.sample_people import invent_students
from academy.domain.student_rows import StudentRow
from apps.core.models import Tenant
from apps.domains.students.services.chunks import save_students
from apps.domains.students.services.import_errors import try_again

DEMO_STUDENTS = 300


def load_students(tenant: Tenant, lectures: Sequence[models.Model]) -> None:
    """Create 300 students, and enrol each in one or two of the lectures.

    The students are always the same for the same academy code. So a second call restores those that were deleted, and
    keeps the others.
    """
    people = invent_students(DEMO_STUDENTS, Random(f"demo {tenant.code}"))  # noqa: S311 - the same at each call
    password_hash = make_password(None)
    groups: list[tuple[int | None, list[StudentRow]]] = [(None, people)]
    for place, lecture in enumerate(lectures):
        attending = [person for person in people if place in _lectures_of(person, len(lectures))]
        groups.append((lecture.pk, attending))
    for lecture_id, group in groups:
        rows = {person.key: person for person in group}
        try_again(partial(_save, tenant.pk, rows, lecture_id, password_hash))


def _lectures_of(person: StudentRow, lectures: int) -> set[int]:
    """Return the indexes of the lectures that a student attends: two for every third student, one for the others."""
    return {person.line % lectures, (person.line + person.line % 3 // 2) % lectures}


@transaction.atomic
def _save(tenant_id: int, rows: Mapping[Key, StudentRow], lecture_id: int | None, password_hash: str) -> None:
    save_students(tenant_id, rows, lecture_id, password_hash)
