"""An ASGI application in the place of Django, for tests of what is answered before Django."""

from typing import Any


class Passed:
    """An application that notes that it was called. It stands for Django."""

    def __init__(self) -> None:
        self.called = False

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.called = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
