"""Students and their parents."""

from django.db import models
from django.db.models import Q

from apps.core.indexes import LongNameIndex

CHANGES = [(name, name) for name in ("added", "changed", "removed", "restored")]


class Parent(models.Model):
    """A parent. The phone number, in digits only, identifies a parent within an academy."""

    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    user = models.OneToOneField("core.User", models.SET_NULL, null=True, related_name="parent")
    name = models.CharField(max_length=50, blank=True)
    phone = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "parents"
        constraints = [models.UniqueConstraint(fields=["tenant", "phone"], name="uq_parent_tenant_phone")]  # noqa: RUF012

    def __str__(self) -> str:
        return self.phone


class Student(models.Model):
    """A student. A deletion only marks the row. Adding the same name and parent's phone again restores the row."""

    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    user = models.OneToOneField("core.User", models.CASCADE, related_name="student")
    parent = models.ForeignKey(Parent, models.PROTECT, related_name="students")
    name = models.CharField(max_length=50)
    phone = models.CharField(max_length=20, blank=True)
    parent_phone = models.CharField(max_length=20)
    school = models.CharField(max_length=50, blank=True)
    grade = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "students"
        constraints = [  # noqa: RUF012
            models.UniqueConstraint(
                fields=["tenant", "name", "parent_phone"],
                condition=Q(deleted_at__isnull=True),
                name="idx_student_tenant_name_phone",
            )
        ]
        indexes = [  # noqa: RUF012
            LongNameIndex(
                fields=["tenant", "name", "parent_phone"],
                condition=Q(deleted_at__isnull=False),
                name="idx_student_tenant_name_phone_deleted",
            )
        ]

    def __str__(self) -> str:
        return self.name


class StudentChange(models.Model):
    """Who added, changed, removed or restored a student by hand, and when. Imports are recorded in `aijob_row`.

    `fields` names the changed fields, separated by commas. Their values are not stored, because they are personal data.
    """

    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    student = models.ForeignKey(Student, models.CASCADE, related_name="changes")
    what = models.CharField(max_length=10, choices=CHANGES)
    fields = models.CharField(max_length=100, blank=True)
    by = models.ForeignKey("core.User", models.SET_NULL, null=True, related_name="+", db_index=False)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "student_change"

    def __str__(self) -> str:
        return f"{self.student_id}: {self.what}"
