"""Academies with students, and imports into them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from academy.adapters.db.django.repositories_imports import ImportTotals
from academy.domain.student_rows import RowProblem, StudentRow
from apps.core.models import Tenant, TenantMembership, User
from apps.domains.ai.models import AIJob, ImportedRow
from apps.domains.lectures.models import Lecture
from apps.domains.students.models import Parent, Student
from apps.domains.students.services.bulk_from_excel import bulk_create_students_from_excel_rows_optimized

Row = StudentRow | RowProblem
Import = Callable[..., ImportTotals]


def phone(number: int) -> str:
    return f"010{number:08d}"


@dataclass
class Academy:
    """A new tenant, with helpers to fill it and to read it."""

    tenant: Tenant = field(
        default_factory=lambda: Tenant.objects.create(code=f"t-{secrets.token_hex(8)}", name="Academy")
    )

    @property
    def id(self) -> int:
        return self.tenant.pk

    def lecture(self) -> Lecture:
        return Lecture.objects.create(tenant=self.tenant, title="Lecture")

    def job(self) -> UUID:
        return AIJob.objects.create(tenant=self.tenant, job_type="excel_parsing", status="PROCESSING").job_id

    def run(
        self, rows: list[Row], work: Import = bulk_create_students_from_excel_rows_optimized, **options: Any
    ) -> ImportTotals:
        """Import these rows in a new job, or in the given `job_id`."""
        job_id = options.pop("job_id", None) or self.job()
        attempt = options.pop("attempt", 1)
        return work(tenant_id=self.id, job_id=job_id, attempt=attempt, rows=rows, **options)

    def student(self, name: str, parent_phone: str, **fields: Any) -> Student:
        """Create a student. With `deleted_at`, also close the account, as a deletion does."""
        user = User.objects.create(
            tenant=self.tenant,
            username=f"old-{secrets.token_hex(8)}",
            name=name,
            password="old",
            is_active=fields.get("deleted_at") is None,
        )
        TenantMembership.objects.create(tenant=self.tenant, user=user, role="student")
        parent, _ = Parent.objects.get_or_create(tenant=self.tenant, phone=parent_phone)
        return Student.objects.create(
            tenant=self.tenant, user=user, parent=parent, name=name, parent_phone=parent_phone, **fields
        )

    def students(self) -> list[tuple[str, str, bool]]:
        """Return a tuple for each student: the name, the parent's phone, and whether the student is deleted."""
        rows = Student.objects.filter(tenant=self.tenant).values_list("name", "parent_phone", "deleted_at")
        return sorted((name, number, deleted_at is not None) for name, number, deleted_at in rows)

    def outcomes(self, job_id: UUID) -> dict[int, tuple[str, str]]:
        """Return `{line number: (outcome, code)}` with the lines of the workbook that a job has handled."""
        rows = ImportedRow.objects.filter(job__job_id=job_id, job__tenant=self.tenant)
        return {row.line: (row.outcome, row.code) for row in rows}
