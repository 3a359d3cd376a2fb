"""The answers with which the engine refuses a request: JSON with a code and a message."""

from django.http import JsonResponse

from realtime.protocol.refusals import refused


def error(status: int, code: str, problem: Exception | str, allow: str = "POST") -> JsonResponse:
    """Count and log a refusal. Return the answer with this status."""
    refused(code, str(problem))
    return error_answer(status, code, problem, allow)


def error_answer(status: int, code: str, problem: Exception | str, allow: str = "POST", **fields: str) -> JsonResponse:
    """Return a JSON answer with the code, the message and further `fields`, and the headers that its status requires.

    `allow` is the value of the header `Allow` of a 405: the methods that the path accepts.
    """
    answer = JsonResponse({"code": code, "message": str(problem), **fields}, status=status)
    answer["Cache-Control"] = "no-store"
    if status == 401:  # noqa: PLR2004 - RFC 9110, section 15.5.2: a 401 names the scheme
        answer["WWW-Authenticate"] = "Bearer"
    if status == 405:  # noqa: PLR2004 - RFC 9110, section 15.5.6: a 405 names the methods
        answer["Allow"] = allow
    if status == 503:  # noqa: PLR2004
        answer["Retry-After"] = "5"
    return answer
