"""Error answers: `{"code", "message", "fields"?}`, with a code for programs and a sentence for people."""

from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from psycopg.errors import ForeignKeyViolation, LockNotAvailable
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from rest_framework import exceptions, status
from rest_framework.response import Response

from academy.adapters.queue.sqs import QueueUnavailableError
from academy.quotas import QuotaError
from apps.core.other_tenants import note_other_tenants_ids

log = structlog.get_logger(__name__)

UNAVAILABLE: list[tuple[tuple[type[BaseException], ...], str, str]] = [
    ((OperationalError, InterfaceError, PoolTimeout), "database_unavailable", "The database cannot be reached"),
    ((RedisError,), "redis_unavailable", "Redis cannot be reached"),
    ((QueueUnavailableError,), "queue_unavailable", "The queue cannot be reached"),
    ((BotoCoreError, ClientError), "storage_unavailable", "The file storage cannot be reached"),
]


BAD_REQUESTS: list[tuple[type[Exception], str]] = [
    (DisallowedHost, "No site of this name is served here (ALLOWED_HOSTS names those that are)."),
    (RequestDataTooBig, "The fields of the request are too large."),
    (TooManyFieldsSent, "The request has too many fields."),
    (TooManyFilesSent, "Send one file."),
]


IDS_NOT_CHECKED = {status.HTTP_401_UNAUTHORIZED, status.HTTP_429_TOO_MANY_REQUESTS}
"""For every other refusal (4xx), the ids in the request are checked: they may belong to another tenant.

With 401 nobody is known who could be named in the audit log, and a 429 must cost less than the request itself.
"""


class ApiError(exceptions.APIException):
    """An error with its own status, code and sentence.

    `fields` has the wrong fields of the form, each with its sentences. `wait` is the `Retry-After` in seconds. `more`
    has additional fields for the answer.
    """

    def __init__(
        self,
        http_status: int,
        code: str,
        message: str,
        fields: dict[str, list[str]] | None = None,
        *,
        wait: int | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code)
        self.status_code = http_status
        self.fields = fields
        self.wait = wait
        self.more = more or {}


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an error of a view (this is DRF's EXCEPTION_HANDLER).

    Return None for an unexpected error: Django then answers 500 and logs a traceback.
    """
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or None)
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, QuotaError):
        error = _of_quota(error)
    if isinstance(error, exceptions.APIException):
        set_rollback()
        if status.is_client_error(error.status_code) and error.status_code not in IDS_NOT_CHECKED:
            note_other_tenants_ids(context)
        return Response(_body(error), error.status_code, headers=_headers(error))
    if isinstance(error.__cause__, LockNotAvailable):
        return _of_lock(context)
    if isinstance(error.__cause__, ForeignKeyViolation):
        return _of_deleted_row(context)
    for kinds, code, sentence in UNAVAILABLE:
        if isinstance(error, kinds):
            set_rollback()
            log.warning(code, view=type(context["view"]).__name__, error=str(error).strip().splitlines()[:1])
            body = {"code": code, "message": f"{sentence} at the moment; nothing was lost. Try again in a few seconds."}
            return Response(body, status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
    return None


def _of_quota(error: QuotaError) -> ApiError:
    """Return an error with status 429 if waiting helps, and 403 if it does not."""
    status_code = 403 if error.retry_seconds is None else 429
    return ApiError(status_code, error.code, str(error), wait=error.retry_seconds)


def set_rollback() -> None:
    """Roll back the transaction of this request, if it has one."""
    from rest_framework import views  # noqa: PLC0415 - it imports our parsers, which import this module

    views.set_rollback()


def _of_lock(context: dict[str, Any]) -> Response:
    """Answer 503: another request of the same academy has not ended in time."""
    set_rollback()
    log.warning("lock_not_available", view=type(context["view"]).__name__)
    message = "Another request of your academy takes too long; nothing was changed. Try again in a few seconds."
    return Response(
        {"code": "busy", "message": message}, status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"}
    )


def _of_deleted_row(context: dict[str, Any]) -> Response:
    """Answer 409: the request could not write a row, because a row to which it refers was deleted meanwhile."""
    set_rollback()
    log.info("deleted_meanwhile", view=type(context["view"]).__name__)
    message = "Something in this request was deleted while it ran. Nothing was changed: reload the list and try again."
    return Response({"code": "deleted_meanwhile", "message": message}, status.HTTP_409_CONFLICT)


def _body(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"": error.detail}
        first, reasons = next(iter(fields.items()))
        reason = reasons[0] if isinstance(reasons, list) else reasons
        message = f"{first}: {reason}" if first and first != "non_field_errors" else str(reason)
        return {"code": "invalid", "message": message, "fields": fields}
    codes = error.get_codes()
    body: dict[str, Any] = {"code": codes if isinstance(codes, str) else "invalid", "message": str(error.detail)}
    body |= getattr(error, "more", {})
    of_form = getattr(error, "fields", None)
    return {**body, "fields": of_form} if of_form else body


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers: dict[str, str] = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    return headers


def answer_bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Answer requests that Django itself refuses (Django's `handler400`)."""
    found = [sentence for kind, sentence in BAD_REQUESTS if isinstance(exception, kind)]
    message = found[0] if found else "The request is malformed."
    return JsonResponse({"code": "bad_request", "message": message}, status=400)


def answer_forbidden(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Answer requests that a view outside of the API refuses (Django's `handler403`)."""
    return JsonResponse({"code": "forbidden", "message": "Your account may not do this."}, status=403)


def answer_csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Answer requests that fail the CSRF check (Django's `CSRF_FAILURE_VIEW`)."""
    message = "The form was not accepted: it lacks a valid CSRF token. Open the page again, then send the form again."
    return JsonResponse({"code": "csrf", "message": message}, status=403)


def answer_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Answer requests for paths that no view serves (Django's `handler404`)."""
    return JsonResponse({"code": "not_found", "message": f"There is nothing at {request.path}."}, status=404)


def answer_server_error(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Answer unexpected errors (Django's `handler500`). The traceback is in the log."""
    message = "Something went wrong on our side; it has been noted. Try again in a minute."
    return JsonResponse({"code": "internal", "message": message}, status=500)
