"""Chooses the format of an answer by the Accept header."""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation


class PlainContentNegotiation(DefaultContentNegotiation):
    """Ignores media types with an extended parameter (`q*=utf-8''1`, RFC 2231).

    HTTP defines no such parameters for `Accept`, and Python fails to decode some of them.
    """

    def get_accept_list(self, request: Any) -> list[str]:
        tokens: list[str] = super().get_accept_list(request)
        return [token for token in tokens if "*" not in token.partition(";")[2]]
