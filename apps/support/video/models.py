"""Videos of lessons."""

from django.db import models

UNFINISHED = ("PENDING", "PROCESSING")
VIDEO_STATUSES = [(name, name) for name in ("PENDING", "PROCESSING", "READY", "FAILED", "CANCELLED")]


class Video(models.Model):
    """A video of a lesson. A worker can save and publish the video only while it runs the current `attempt`."""

    tenant = models.ForeignKey("core.Tenant", models.CASCADE, related_name="+", db_index=False)
    session = models.ForeignKey("lectures.Session", models.CASCADE, related_name="videos", db_index=False)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=VIDEO_STATUSES, default="PENDING")
    attempt = models.PositiveIntegerField(default=1)
    file_name = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=500, blank=True, help_text="The name of the uploaded file in the storage.")
    size = models.BigIntegerField(null=True, help_text="The size of the uploaded file, in bytes.")
    uploaded_at = models.DateTimeField(
        null=True, help_text="When the upload was complete. No worker takes the video before."
    )
    hls_path = models.CharField(max_length=500, blank=True)
    duration = models.FloatField(null=True, help_text="In seconds.")
    error = models.JSONField(null=True)
    created_by = models.ForeignKey("core.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True)
    made_bytes = models.BigIntegerField(default=0, db_default=0, help_text="The size of all encoded files, in bytes.")
    encoding_day = models.DateField(null=True, help_text="The day on which the last encoding began.")
    encoding_seconds = models.FloatField(null=True, help_text="The seconds of video that count for that day's quota.")
    encoding_reserved = models.FloatField(
        default=0, db_default=0, help_text="Those of these seconds that are an estimate, until the length is known."
    )
    encoding_counted = models.BooleanField(
        default=False, db_default=False, help_text="Whether the quota has counted the present request for an encoding."
    )
    dispatched_at = models.DateTimeField(null=True, help_text="When the video's message was sent to the queue.")

    deleted_at = models.DateTimeField(
        null=True, help_text="Nobody is shown a deleted video. Its row stays for some days, because its minutes count."
    )
    files_due_at = models.DateTimeField(
        null=True, help_text="When a worker may delete files that the video no longer needs."
    )
    replaces = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The video whose place this one takes when it is READY, or has taken. Its row may be gone.",
    )
    replaced_by = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The video that has taken the place of this one, which was deleted then.",
    )
    listed_at = models.DateTimeField(
        null=True, help_text="Its place in lists, if it has taken that of an older video. Otherwise `created_at` is it."
    )

    class Meta:
        db_table = "video"
        indexes = [  # noqa: RUF012
            models.Index(fields=["tenant", "status"], name="idx_video_tenant_status"),
            models.Index(fields=["session", "status"], name="idx_video_session_status"),
            models.Index(
                fields=["tenant", "id"], condition=models.Q(status__in=UNFINISHED), name="idx_video_unfinished"
            ),
            models.Index(fields=["created_at"], condition=models.Q(uploaded_at=None), name="idx_video_announced"),
            models.Index(
                fields=["files_due_at"], condition=models.Q(files_due_at__isnull=False), name="idx_video_files_due"
            ),
            models.Index(fields=["replaces"], condition=models.Q(replaces__isnull=False), name="idx_video_replaces"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def was_announced(self) -> bool:
        """Whether the client got a presigned address to upload to.

        If not, the file was in the request that created the video.
        """
        return self.uploaded_at is None or self.uploaded_at > self.created_at


ANNOUNCED = models.Q(uploaded_at=None) | models.Q(uploaded_at__gt=models.F("created_at"))
"""The condition of `was_announced`, for queries. Only an announced video has a row before its file has arrived."""
