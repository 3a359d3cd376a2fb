"""`manage.py provision`: creates the queues and the bucket that the application needs. It is safe to repeat."""

from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand

from academy.adapters.queue.sqs import provision_queues


class Command(BaseCommand):
    help = "Makes the queues with their dead letters and, where S3 is used, the bucket."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        provision_queues()
        bucket = getattr(default_storage, "bucket", None)
        if bucket is None:
            return
        client = bucket.meta.client
        if bucket.name not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            region = {"LocationConstraint": client.meta.region_name}
            client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration=region)
