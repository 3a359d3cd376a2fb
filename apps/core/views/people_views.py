"""The accounts of an academy: `/api/v1/people/…`, for its office. `academy.people` has the rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy import people
from academy.adapters.db.django import repositories_people
from academy.adapters.db.django.repositories_people import ParentMissingError, UsernameTakenError
from academy.adapters.excel.phones import normalise_korean_mobile
from academy.domain.roles import OFFICE, Role
from academy.domain.student_rows import clean_text
from academy.people import PersonError, PersonMissingError
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.change_quota import NO_QUOTA
from apps.core.errors import ApiError
from apps.core.models import User
from apps.core.one_time_codes import grouped, hash_of, new_code
from apps.core.openapi import extend_schema
from apps.core.query_params import search_param

ROLES = [role.value for role in Role]
USERNAME = r"^[a-z0-9][a-z0-9._@-]*\Z"
"""User names have only characters that every keyboard can type."""
ACTIVE = {"true": True, "false": False}
DATE = serializers.DateTimeField()
CODE = inline_serializer(
    "OneTimeCode",
    {"code": serializers.CharField(help_text="It is shown only here."), "expires_at": serializers.DateTimeField()},
)


class PersonSerializer(serializers.ModelSerializer[User]):
    """An account, as the office sees it."""

    role = serializers.ChoiceField(choices=ROLES)
    active = serializers.BooleanField(source="is_active")
    has_password = serializers.BooleanField(source="has_usable_password", help_text="False until a password is chosen.")
    code_expires_at = serializers.SerializerMethodField(help_text="Null if no one-time code is valid.")
    last_used_at = serializers.DateTimeField(help_text="When a sign-in of the account was last used. Null if unknown.")

    class Meta:
        model = User
        fields = (
            *("id", "username", "name", "role", "active"),
            *("has_password", "code_expires_at", "last_used_at", "created_at"),
        )

    def get_code_expires_at(self, user: User) -> str | None:
        code = getattr(user, "one_time_code", None)
        valid = code is not None and code.expires_at > timezone.now()
        return DATE.to_representation(code.expires_at) if code and valid else None


class NameField(serializers.CharField):
    """A name, without invisible characters, and with single spaces."""

    def to_internal_value(self, data: Any) -> str:
        name = clean_text(super().to_internal_value(data))
        if not name:
            self.fail("blank")
        return name


class PersonForm(serializers.Serializer[Any]):
    """A new account. `parent_phone` connects a parent's account with the children whose parent has this number."""

    role = serializers.ChoiceField(choices=ROLES)
    name = NameField(max_length=50)
    username = serializers.RegexField(
        USERNAME,
        max_length=60,
        error_messages={
            "invalid": "Use small letters, digits and the characters . _ @ - and begin with a letter or digit."
        },
    )
    parent_phone = serializers.CharField(max_length=40, required=False)

    def validate_parent_phone(self, text: str) -> str:
        """Check the phone here, and not in `validate`, which is called only when all fields are valid."""
        if self.initial_data.get("role") != Role.PARENT:
            raise serializers.ValidationError("Only the account of a parent has this field.")
        phone = normalise_korean_mobile(text)
        if phone is None:
            raise serializers.ValidationError("Write a Korean mobile number, such as 010-1234-5678.")
        return phone


class PersonChange(serializers.Serializer[Any]):
    name = NameField(max_length=50, required=False)
    role = serializers.ChoiceField(choices=ROLES, required=False)


class PersonListView(ListAPIView[User]):
    """The accounts of the academy, sorted by name. `?search=` searches names and user names."""

    roles = {"GET": OFFICE, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = PersonSerializer

    def get_queryset(self) -> Any:
        role, active = self.request.query_params.get("role"), self.request.query_params.get("active")
        if role is not None and role not in ROLES:
            raise ApiError(400, "invalid", f"role is one of {', '.join(ROLES)}.")
        if active is not None and active not in ACTIVE:
            raise ApiError(400, "invalid", f"active is one of {', '.join(ACTIVE)}.")
        return repositories_people.people_of(
            caller_of(self.request).tenant_id,
            search=search_param(self.request),
            role=Role(role) if role else None,
            active=ACTIVE[active] if active else None,
        )

    @extend_schema(parameters=[OpenApiParameter("role", enum=ROLES), OpenApiParameter("active", enum=list(ACTIVE))])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(request=PersonForm, responses={201: PersonSerializer})
    def post(self, request: Request) -> Response:
        """Add an account. Nobody can sign in to it before it gets a one-time code."""
        form = PersonForm(data=request.data)
        form.is_valid(raise_exception=True)
        caller, fields = caller_of(request), form.validated_data
        with refusals():
            user_id = people.add(caller.tenant_id, caller.user_id, **fields | {"role": Role(fields["role"])})
        audit_as(request, Event.PERSON_ADDED, subject=f"user:{user_id}", role=fields["role"])
        return Response(found(request, user_id), status=201)


class PersonView(APIView):
    roles = {"GET": OFFICE, "PATCH": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses=PersonSerializer, parameters=[OpenApiParameter("user_id", int, "path")])
    def get(self, request: Request, user_id: int) -> Response:
        return Response(found(request, user_id))

    @extend_schema(
        request=PersonChange, responses=PersonSerializer, parameters=[OpenApiParameter("user_id", int, "path")]
    )
    def patch(self, request: Request, user_id: int) -> Response:
        """Change the name or the role.

        Another role ends the account's access tokens and connections at once. Its sign-ins go on with the new role.
        """
        form = PersonChange(data=request.data)
        form.is_valid(raise_exception=True)
        caller, fields = caller_of(request), dict(form.validated_data)
        if "role" in fields:
            fields["role"] = Role(fields["role"])
        with refusals():
            change = people.change(caller.tenant_id, caller.user_id, user_id, **fields)
        subject = f"user:{user_id}"
        if change.name:
            audit_as(request, Event.PERSON_RENAMED, subject=subject)
        if change.role and change.role_before:
            before, role = change.role_before.value, change.role.value
            audit_as(request, Event.PERSON_ROLE_CHANGED, subject=subject, role_before=before, role=role)
        return Response(found(request, user_id))


class PersonCloseView(APIView):
    """Close an account. Its sign-ins, tokens, connections and one-time code end at once."""

    throttle_classes = NO_QUOTA
    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=PersonSerializer, parameters=[OpenApiParameter("user_id", int, "path")])
    def post(self, request: Request, user_id: int) -> Response:
        caller = caller_of(request)
        with refusals():
            closed = people.close(caller.tenant_id, caller.user_id, user_id)
        if closed:
            audit_as(request, Event.PERSON_CLOSED, subject=f"user:{user_id}")
        return Response(found(request, user_id))


class PersonReopenView(APIView):
    """Open a closed account again."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=PersonSerializer, parameters=[OpenApiParameter("user_id", int, "path")])
    def post(self, request: Request, user_id: int) -> Response:
        caller = caller_of(request)
        with refusals():
            opened = people.reopen(caller.tenant_id, caller.user_id, user_id)
        if opened:
            audit_as(request, Event.PERSON_REOPENED, subject=f"user:{user_id}")
        return Response(found(request, user_id))


class PersonCodeView(APIView):
    """Issue a one-time code, in place of an earlier one. Only the answer to this request contains the new code."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses={201: CODE}, parameters=[OpenApiParameter("user_id", int, "path")])
    def post(self, request: Request, user_id: int) -> Response:
        caller, code = caller_of(request), new_code()
        with refusals():
            expires_at = people.issue_code(
                caller.tenant_id,
                caller.user_id,
                user_id,
                code_hash=hash_of(user_id, code),
                seconds=settings.ONE_TIME_CODE_SECONDS,
            )
        audit_as(request, Event.CODE_ISSUED, subject=f"user:{user_id}", seconds=settings.ONE_TIME_CODE_SECONDS)
        return Response({"code": grouped(code), "expires_at": DATE.to_representation(expires_at)}, status=201)


def found(request: Request, user_id: int) -> Any:
    """Return the account as the API represents it. Raises NotFound if the caller's academy has no such account."""
    person = repositories_people.find_person(caller_of(request).tenant_id, user_id)
    if person is None:
        raise NotFound("There is no such account.")
    return PersonSerializer(person).data


@contextmanager
def refusals() -> Iterator[None]:
    """Turn exceptions of `academy.people` into answers with the right status and code."""
    try:
        yield
    except PersonMissingError:
        raise NotFound("There is no such account.") from None
    except PersonError as problem:
        if problem.code == "role_refused":
            raise PermissionDenied(str(problem), problem.code) from None
        raise ApiError(409, problem.code, str(problem)) from None
    except UsernameTakenError as problem:
        raise ApiError(409, "username_taken", str(problem), {"username": [str(problem)]}) from None
    except ParentMissingError as problem:
        raise ApiError(409, "parent_missing", str(problem), {"parent_phone": [str(problem)]}) from None
