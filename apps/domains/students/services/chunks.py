"""Saves a chunk of students with a few statements."""

from collections.abc import Mapping

from academy.adapters.db.django import repositories_students as students
from academy.adapters.db.django.repositories_students import Key
from academy.domain.student_rows import StudentRow
from apps.domains.students.services.import_errors import StudentsMovedError
from apps.domains.students.services.lecture_enroll import LectureMissingError
from apps.domains.students.services.usernames import make_username


def save_students(
    tenant_id: int, rows: Mapping[Key, StudentRow], lecture_id: int | None, password_hash: str
) -> dict[Key, tuple[str, int]]:
    """Find, restore or create the student of each row. Return a dictionary: row's key → (outcome, student's id).

    Call this inside a transaction, and repeat the whole transaction after a conflict (`try_again`). Raises
    StudentsMovedError if another transaction has just created or restored one of the students, LectureMissingError if
    the lecture does not exist, and IntegrityError if a username is taken.
    """
    students.lock_students(tenant_id)
    active = students.student_batch_filter_by_name_phone(tenant_id, list(rows))
    absent = [key for key in rows if key not in active]
    deleted = students.student_batch_filter_deleted_by_name_phone(tenant_id, absent) if absent else {}
    saved = students.SavedStudents({}, {})
    if absent or lecture_id is not None:
        saved = students.save_student_chunk(
            tenant_id,
            new=[(rows[key], make_username()) for key in absent if key not in deleted],
            returning=[(rows[key], student_id) for key, student_id in deleted.items()],
            present=active.values(),
            lecture_id=lecture_id,
            password_hash=password_hash,
        )
    if len(saved.created) + len(saved.restored) != len(absent):
        raise StudentsMovedError
    if saved.lecture_missing:
        raise LectureMissingError
    return {
        **{key: ("existing", student_id) for key, student_id in active.items()},
        **{key: ("created", student_id) for key, student_id in saved.created.items()},
        **{key: ("restored", student_id) for key, student_id in saved.restored.items()},
    }
