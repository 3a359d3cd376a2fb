"""Parses JSON bodies, with limits on their length and depth, and multipart forms."""

from collections.abc import Mapping
from io import BytesIO
from json import JSONDecodeError
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser, MultiPartParser

from apps.core.errors import ApiError


class BoundedJSONParser(JSONParser):
    """Limits JSON bodies as Django limits forms. Django's own limit does not apply, since DRF reads JSON itself."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise ApiError(413, "too_large", f"A JSON body may have {most} bytes.")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - it is nested too deeply.") from None
        except ParseError as problem:
            raise _in_plain_words(problem) from None


class CheckedMultiPartParser(MultiPartParser):
    """Refuses a form if the header of a part has a parameter that Python fails to decode (RFC 2231)."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except (TypeError, LookupError) as problem:
            raise ParseError("Multipart form parse error - the header of a part cannot be read.") from problem


def _in_plain_words(problem: ParseError) -> ParseError:
    """Return an error with a clearer sentence for a wrong encoding or a wrong number. Return other errors unchanged.

    Python's own sentences about wrong encodings and numbers are hard to understand.
    """
    cause = problem.__context__
    if isinstance(cause, JSONDecodeError):
        return problem
    if isinstance(cause, UnicodeError):
        return ParseError("JSON parse error - the text is not in the encoding that was named, or in UTF-8.")
    return ParseError("JSON parse error - a number has too many digits, or is NaN or Infinity.")
