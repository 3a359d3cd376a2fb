"""`manage.py load_demo`: creates two demo academies. It is safe to repeat: an existing academy is not changed."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from academy.adapters.db.django import repositories_core, repositories_lectures, repositories_students
from academy.domain.roles import Role
from academy.domain.student_rows import StudentRow
from academy.passwords import hash_password
from apps.core.models import Tenant
from apps.demo.videos import load_videos
from apps.domains.students.demo import load_students

ACADEMIES = {"hanbit": "한빛학원", "saebom": "새봄학원"}
# The public password of the invented accounts. It is the only one that need not meet the rules for passwords.
PASSWORD = "academy-demo"  # noqa: S105
ACCOUNTS = {Role.OWNER: "김원장", Role.STAFF: "이실장", Role.TEACHER: "박선생"}
LECTURES = ("중등 수학 A", "고등 영어 독해", "초등 과학 실험", "고3 국어 모의고사")
PARENT = "최학부모"
STUDENT = StudentRow(line=1, name="최학생", parent_phone="01000000001", school="한빛중학교", grade="2")


class Command(BaseCommand):
    help = f"Loads two academies with accounts, lectures, students and videos (password of all accounts: {PASSWORD})."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        password_hash = hash_password(PASSWORD)
        for code, name in ACADEMIES.items():
            with transaction.atomic():
                tenant = repositories_core.create_tenant(code, name)
                lecture_id = self._load(tenant, password_hash) if tenant else None
            if tenant is None or lecture_id is None:
                self.stdout.write(f"{code}: is there already.")
                continue
            load_videos(tenant, lecture_id)
            self.stdout.write(f"{code}: loaded, with {repositories_students.students_of(tenant.pk).count()} students.")

    def _load(self, tenant: Tenant, password_hash: str) -> int:
        """Create accounts, lectures and students. Return the id of the first lecture, which `STUDENT` attends."""
        for role, person in ACCOUNTS.items():
            repositories_core.create_account(tenant, role.value, person, role, password_hash)
        lectures = [repositories_lectures.create_lecture(tenant.pk, {"title": title}) for title in LECTURES]
        student_id = repositories_students.create_student(tenant.pk, STUDENT, Role.STUDENT.value, password_hash)
        repositories_core.keep_password(tenant.pk, Role.STUDENT.value)
        parent = repositories_core.create_account(tenant, Role.PARENT.value, PARENT, Role.PARENT, password_hash)
        repositories_students.give_parent_account(tenant.pk, STUDENT.parent_phone, parent.pk)
        for lecture in lectures[:2]:
            repositories_students.enroll_student(tenant.pk, student_id, lecture.pk)
        load_students(tenant, lectures)
        return lectures[0].pk
