from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.other_tenants import note_other_tenants_filters


class Pages(PageNumberPagination):
    """`?page=2&page_size=100` → `{"count", "next", "previous", "results"}`."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> Any:
        """Return the rows of the page. If there are none, audit which ids in the filters belong to another academy."""
        page = super().paginate_queryset(queryset, request, view)
        if not page:
            note_other_tenants_filters(request)
        return page
