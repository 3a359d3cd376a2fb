"""Lectures, their lessons, and enrolments."""

from django.db import models


class Lecture(models.Model):
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    title = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    active = models.BooleanField(default=True, help_text="An archived lecture is not active. Its students keep access.")
    video_changes = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="Counts the changes of the READY videos: the attempt of the lecture's record.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "lecture"
        indexes = [models.Index(fields=["tenant", "title"], name="idx_lecture_tenant_title")]  # noqa: RUF012

    def __str__(self) -> str:
        return self.title


class Session(models.Model):
    """One lesson of a lecture."""

    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    lecture = models.ForeignKey(Lecture, models.CASCADE, related_name="sessions")
    title = models.CharField(max_length=100)
    order = models.PositiveIntegerField(default=1)
    starts_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "lecture_session"
        constraints = [models.UniqueConstraint(fields=["lecture", "order"], name="uq_session_lecture_order")]  # noqa: RUF012

    def __str__(self) -> str:
        return self.title


class Enrollment(models.Model):
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+")
    lecture = models.ForeignKey(Lecture, models.CASCADE, related_name="enrollments")
    student = models.ForeignKey("students.Student", models.CASCADE, related_name="enrollments")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "enrollment"
        constraints = [models.UniqueConstraint(fields=["lecture", "student"], name="uq_enrollment_lecture_student")]  # noqa: RUF012

    def __str__(self) -> str:
        return f"{self.lecture_id}: {self.student_id}"
