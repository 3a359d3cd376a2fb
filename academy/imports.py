"""Accepts a workbook to import: stores it and creates a job for the AI worker."""

from collections.abc import Callable
from pathlib import PurePath
from uuid import uuid4

from django.core.files.base import File
from django.core.files.storage import default_storage

from academy import jobs, quotas
from academy.adapters.excel.kinds import check_upload
from academy.adapters.storage.presigned import CONTENT_TYPE
from academy.domain.jobs import EXCEL_PARSING

FOLDER = "imports"
MAX_FILE_NAME = 200


def submit_import(
    *,
    tenant_id: int,
    created_by: int,
    file: "File[bytes]",
    lecture_id: int | None,
    hash_password: Callable[[], str] | None,
) -> str:
    """Store the workbook, create the job and return its id.

    `hash_password` returns the hash of the new accounts' initial password. It is called after the checks of the file
    and the quotas, and its errors are raised. The hash is erased when the job ends. If `hash_password` is None, nobody
    can sign in to the new accounts.

    Raises QuotaError if a quota is used up, and WorkbookError if the name or the size of the file is not allowed for a
    workbook.
    """
    file_name = PurePath((file.name or "").replace("\\", "/")).name[-MAX_FILE_NAME:]
    check_upload(file_name, file.size)
    quotas.check_before(tenant_id, adds_bytes=file.size)
    password_hash = hash_password() if hash_password else None
    job_id = uuid4()
    file.content_type = CONTENT_TYPE  # type: ignore[attr-defined]  # else a bucket keeps the type that was sent
    stored = default_storage.save(f"{FOLDER}/{tenant_id}/{job_id}{PurePath(file_name).suffix.lower()}", file)
    payload = {"file_name": file_name, "file": stored, "lecture_id": lecture_id}
    if password_hash:
        payload["password_hash"] = password_hash
    try:
        jobs.submit(
            tenant_id=tenant_id,
            job_type=EXCEL_PARSING,
            payload=payload,
            created_by=created_by,
            job_id=job_id,
            stored_bytes=file.size,
        )
    except Exception:
        default_storage.delete(stored)
        raise
    return str(job_id)
