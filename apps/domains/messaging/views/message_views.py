"""`/api/v1/messages/`: bulk messages, and the outcome of each message. Progress is pushed to clients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_messages
from academy.domain.jobs import JobStateError, JobStatus
from academy.domain.messages import MessageStatus, To
from academy.domain.roles import FACULTY, OFFICE
from academy.message_previews import preview_messages
from academy.messages import WrongMessageError, retry_failed, submit_messages
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.pagination import Pages
from apps.domains.messaging.models import MessageJob
from apps.domains.messaging.serializers import (
    MessageForm,
    MessageJobDetailSerializer,
    MessageJobSerializer,
    MessageSerializer,
    PreviewSerializer,
    SentMessageForm,
)

STATUSES = [status.lower() for status in MessageStatus]
JOB_ID = inline_serializer("MessageJobId", {"job_id": serializers.UUIDField()})


class MessageListView(ListAPIView[MessageJob]):
    """The academy's bulk messages, newest first. `POST` creates one and answers at once. A job sends it later."""

    roles = {"GET": FACULTY, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = MessageJobSerializer

    def get_queryset(self) -> Any:
        return repositories_messages.message_jobs_of(caller_of(self.request).tenant_id)

    def list(self, request: Request, *_args: Any, **_words: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(shown(caller_of(request).tenant_id, page))

    @extend_schema(request=SentMessageForm, responses={202: JOB_ID})
    def post(self, request: Request) -> Response:
        caller, form = caller_of(request), valid(SentMessageForm(data=request.data))
        with refusals():
            job_id = submit_messages(
                tenant_id=caller.tenant_id,
                created_by=caller.user_id,
                idempotency_key=form.get("idempotency_key"),
                **message_of(form),
            )
        audit_as(request, Event.MESSAGE_SENT, subject=f"job:{job_id}")
        return Response({"job_id": str(job_id)}, status=202)


class MessagePreviewView(APIView):
    """Preview a bulk message: sample texts, its size and cost, and the missing and shared phone numbers.

    Nothing is sent. The request is checked like a request to send the message.
    """

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=MessageForm, responses=PreviewSerializer)
    def post(self, request: Request) -> Response:
        form = valid(MessageForm(data=request.data))
        with refusals():
            preview = preview_messages(tenant_id=caller_of(request).tenant_id, **message_of(form))
        return Response(PreviewSerializer(preview).data)


class MessageRetryView(APIView):
    """Send again, in a new bulk message, the messages that certainly did not leave.

    Each bulk message can be retried only once.
    """

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses={202: JOB_ID})
    def post(self, request: Request, job_id: UUID) -> Response:
        caller = caller_of(request)
        with refusals():
            new_id = retry_failed(tenant_id=caller.tenant_id, created_by=caller.user_id, job_id=job_id)
        if new_id is None:
            raise NotFound("There is no such bulk message.")
        audit_as(request, Event.MESSAGE_RETRIED, subject=f"job:{new_id}", retry_of=str(job_id))
        return Response({"job_id": str(new_id)}, status=202)


class MessageDetailView(APIView):
    """One bulk message, and the outcomes of its messages in pages, such as `?status=failed&page=2`."""

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(
        parameters=[
            OpenApiParameter("status", enum=STATUSES),
            OpenApiParameter("page", int),
            OpenApiParameter("page_size", int),
        ],
        responses=MessageJobDetailSerializer,
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        tenant_id = caller_of(request).tenant_id
        status = status_param(request)
        message_job = repositories_messages.find_message_job(tenant_id, job_id)
        if message_job is None:
            raise NotFound("There is no such bulk message.")
        pages = Pages()
        page = pages.paginate_queryset(repositories_messages.messages_of(tenant_id, job_id, status), request) or []
        listed = pages.get_paginated_response(MessageSerializer(page, many=True).data).data
        return Response(
            {
                **shown(tenant_id, [message_job])[0],
                "retryable": retryable(message_job),
                "without_number": without_number(message_job),
                **listed,
            }
        )


def valid(form: MessageForm) -> dict[str, Any]:
    form.is_valid(raise_exception=True)
    fields: dict[str, Any] = form.validated_data
    return fields


def message_of(form: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a valid form as arguments for `submit_messages` and `preview_messages`."""
    return {
        "text": form["text"],
        "to": To(form["to"]),
        "lecture_id": form.get("lecture"),
        "student_ids": form.get("students", ()),
    }


@contextmanager
def refusals() -> Iterator[None]:
    """If the block raises WrongMessageError, answer 400. If it raises JobStateError, answer 409."""
    try:
        yield
    except WrongMessageError as problem:
        raise serializers.ValidationError({problem.field: [str(problem)]}) from None
    except JobStateError as problem:
        raise ApiError(409, problem.code, str(problem)) from None


def retryable(message_job: MessageJob) -> int:
    """Return how many messages `retry-failed` would send."""
    if message_job.job.status != JobStatus.DONE or hasattr(message_job, "retry"):
        return 0
    return repositories_messages.count_retryable(message_job)


def without_number(message_job: MessageJob) -> int:
    """Return how many more messages `retry-failed` would send if their recipients had phone numbers."""
    if message_job.job.status != JobStatus.DONE or hasattr(message_job, "retry"):
        return 0
    return repositories_messages.count_without_number(message_job)


def status_param(request: Request) -> MessageStatus | None:
    """Return the parameter `status` of the request, or None if it has none. Raises ApiError for an unknown status."""
    status = request.query_params.get("status")
    if status is not None and status not in STATUSES:
        raise ApiError(400, "invalid", f"status is one of {', '.join(STATUSES)}.")
    return MessageStatus(status.upper()) if status else None


def shown(tenant_id: int, message_jobs: Sequence[MessageJob]) -> Any:
    totals = repositories_messages.totals_of(tenant_id, [message_job.job.job_id for message_job in message_jobs])
    lectures = {message_job.job.payload["lecture_id"] for message_job in message_jobs} - {None}
    titles = repositories_messages.lecture_titles(tenant_id, lectures) if lectures else {}
    return MessageJobSerializer(message_jobs, many=True, context={"totals": totals, "lecture_titles": titles}).data
