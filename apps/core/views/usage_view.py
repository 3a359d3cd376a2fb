"""`GET /api/v1/usage/`: how much the academy uses of its quotas."""

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.domain.roles import OFFICE
from academy.quotas import usage_of
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema


class AmountSerializer(serializers.Serializer[dict[str, int]]):
    used = serializers.IntegerField()
    limit = serializers.IntegerField()


class UsageView(APIView):
    """Show unfinished jobs, today's minutes of encoded video, and stored bytes, each with its limit."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(
        responses=inline_serializer(
            "Usage",
            {
                "jobs": AmountSerializer(),
                "encoding_minutes": AmountSerializer(),
                "storage_bytes": AmountSerializer(),
            },
        )
    )
    def get(self, request: Request) -> Response:
        usage = usage_of(caller_of(request).tenant_id)
        limits = usage.limits
        return Response(
            {
                "jobs": {"used": usage.jobs, "limit": limits.jobs},
                "encoding_minutes": {"used": round(usage.encoding_seconds / 60), "limit": limits.encoding_minutes},
                "storage_bytes": {"used": usage.stored_bytes, "limit": limits.storage_bytes},
            }
        )
