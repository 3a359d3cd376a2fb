"""Serves the files of a video to players, at signed addresses."""

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from apps.core.file_parts import FileParts
from apps.support.video.playback import FILES, PLAYBACK_SECONDS, TYPES, PlaybackError, read_playback


@require_safe
def playback(request: HttpRequest, signed: str, name: str) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    """Answer with a playlist, a segment or the thumbnail of a READY video.

    This makes no database query, because the signed address is the permission.
    """
    try:
        playable = read_playback(signed)
    except PlaybackError as problem:
        return JsonResponse({"code": "address_invalid", "message": str(problem)}, status=403)
    if not FILES.fullmatch(name):
        return JsonResponse({"code": "not_found", "message": "There is no such file."}, status=404)
    try:
        file = default_storage.open(f"{playable.folder}/{name}", "rb")
    except FileNotFoundError:
        return JsonResponse({"code": "not_found", "message": "There is no such file."}, status=404)
    except (BotoCoreError, ClientError):
        body = {"code": "storage_unavailable", "message": "The file storage cannot be reached; try again in a moment."}
        return JsonResponse(body, status=503, headers={"Retry-After": "5"})
    headers = {
        "Content-Length": str(file.size),
        "Cache-Control": f"private, max-age={PLAYBACK_SECONDS}, immutable",
    }
    return StreamingHttpResponse(FileParts(file), content_type=TYPES[name.rpartition(".")[2]], headers=headers)
