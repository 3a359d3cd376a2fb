"""Videos of lessons."""

from django.db import models

VIDEO_STATUSES = [(name, name) for name in ("PENDING", "PROCESSING", "READY", "FAILED", "CANCELLED")]


class Video(models.Model):
    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    session = models.ForeignKey("lectures.Session", models.CASCADE, related_name="videos", db_index=False)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=VIDEO_STATUSES, default="PENDING")
    attempt = models.PositiveIntegerField(default=1)
    hls_path = models.CharField(max_length=500, blank=True)
    duration = models.FloatField(null=True, help_text="Seconds.")
    error = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "video"
        indexes = [  # noqa: RUF012
            models.Index(fields=["tenant", "status"], name="idx_video_tenant_status"),
            models.Index(fields=["session", "status"], name="idx_video_session_status"),
        ]

    def __str__(self) -> str:
        return self.title
