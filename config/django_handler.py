"""Django's ASGI handler, except that a request changes threads only once, and that threads are reused.

Django's own handler changes threads for each signal, for each method of a middleware and for each view that is not
asynchronous, and starts a new thread for each request. With the middlewares of this project, that took more CPU time
than everything else that Django did for a request. Here one thread runs the signals, the middlewares and the view of a
request.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async
from django import db
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponseBase
from django.urls import set_script_prefix

MAX_THREADS = 512
"""How many requests run at the same time. Most of them wait for Redis, for PostgreSQL or for a password's hash. Each of
these waits ends after some seconds, and later requests wait for a free thread meanwhile."""

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="request")


class DjangoHandler(ASGIHandler):
    """The ASGI application that answers requests with Django. All middlewares must be able to run synchronously."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        # asgiref lets a view that is asynchronous run in the event loop of the server.
        self._respond_in_thread = sync_to_async(self._respond, thread_sensitive=False, executor=_threads)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._respond_in_thread(scope, body_file)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    def _respond(self, scope: Any, body_file: Any) -> HttpResponseBase:
        """Return the answer to a request. Close the request and, unless the answer is streamed, the answer too.

        The answer is closed before it is sent, so that a slow client does not hold a database connection.
        """
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        try:
            request, refusal = self.create_request(scope, body_file)
            response: Any = refusal if request is None else self.get_response(request)
            response._handler_class = type(self)  # noqa: SLF001 - as in Django's own handler
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
            if response.streaming:
                db.close_old_connections()  # another thread may close the response, later
            else:
                response.close()
        finally:
            body_file.close()
        answer: HttpResponseBase = response
        return answer

    async def _stream(self, response: HttpResponseBase, receive: Any, send: Any) -> None:
        """Send an answer in parts until it ends or the client is gone. Close it."""
        sending = asyncio.ensure_future(self.send_response(response, send))
        gone = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()
            _, problem = await asyncio.gather(gone, sending, return_exceptions=True)
            await sync_to_async(response.close, thread_sensitive=False, executor=_threads)()
        if isinstance(problem, Exception):
            raise problem
