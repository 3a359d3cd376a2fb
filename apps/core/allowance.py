"""How large a request may be: only who is signed in and may upload videos sends more than a workbook."""

from typing import Any

from django.conf import settings

from academy.domain.roles import FACULTY
from apps.core.tokens import TokenError, read_access_token
from config.body_limit import FORM_BYTES, MAX_BODY_BYTES

UPLOAD_PATH = "/media/videos/"


def allowed_bytes(scope: dict[str, Any]) -> int:
    """Looked at before a byte of the body is read. Whether the session was ended meanwhile the view looks at."""
    if scope.get("method") == "POST" and scope.get("path") == UPLOAD_PATH and _may_upload(scope):
        return int(settings.MAX_VIDEO_BYTES) + FORM_BYTES
    return MAX_BODY_BYTES


def _may_upload(scope: dict[str, Any]) -> bool:
    scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    try:
        return scheme.lower() == "bearer" and read_access_token(token.strip()).role in FACULTY
    except TokenError:
        return False
