"""Handles the frames that the client of a WebSocket sends, on any server."""

from collections.abc import Awaitable

from realtime.connect.connection import Connection
from realtime.protocol import frames
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.protocol.rate_limit import TokenBucket
from realtime.protocol.refusals import refused
from realtime.records.errors import BadFrameError, FeedUnavailableError, TicketError
from realtime.web.process_state import this_process
from realtime.web.ticket_readers import TicketReader, read

FRAMES_A_SECOND, FRAMES_BURST = 10, 30
MAX_BAD_FRAMES = 10


class ClientFrames:
    """Handles the frames of one client, one after the other."""

    __slots__ = ("_bad_frames", "_bucket", "_connection")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bad_frames = 0
        self._bucket: TokenBucket | None = None

    def stop(self) -> None:
        """Stop the connection, because the client is gone."""
        self._connection.stop()

    def refuse_more(self) -> None:
        """End the connection, because the client sent too many frames."""
        refused(reason="too_many_frames", message=f"A client sent more than {FRAMES_A_SECOND} frames a second.")
        self._connection.end(CloseCode.TOO_MANY_FRAMES)

    def receive(self, text: str | None) -> Awaitable[None] | None:
        """Handle a text message, or a binary one (None).

        Return None if it was handled at once, else an awaitable. Pass on no further message until it ends.
        """
        connection = self._connection
        if connection.closing:
            return None
        self._bucket = self._bucket or TokenBucket(FRAMES_A_SECOND, FRAMES_BURST)
        if not self._bucket.take():
            self.refuse_more()
            return None
        try:
            if text is None:
                raise BadFrameError("Frames are text; this one was binary.")
            frame = frames.parse_client_frame(text)
        except BadFrameError as problem:
            self._refuse(frames.request_id_of(text) if text else None, "bad_frame", str(problem))
            return None
        return self._handle(frame)

    def _handle(self, frame: frames.ClientFrame) -> Awaitable[None] | None:
        match frame:
            case frames.Pong():
                self._connection.pong()
            case frames.Unsubscribe(request_id, topics):
                self._connection.unsubscribe(request_id, topics)
            case _:
                return self._answer(frame)
        return None

    async def _answer(self, frame: frames.Subscribe | frames.Refresh) -> None:
        """Handle a frame that needs Redis."""
        request_id = frame.id if isinstance(frame, frames.Subscribe) else None
        try:
            if isinstance(frame, frames.Subscribe):
                wrong = await self._connection.subscribe(frame.id, frame.topics)
            else:
                wrong = await self._refresh(frame.ticket)
        except FeedUnavailableError as problem:
            self._connection.subscriber.queue(frames.error(request_id, "unavailable", str(problem)))
            return
        if wrong is not None:
            self._refuse(request_id, *wrong)

    async def _refresh(self, text: str) -> tuple[str, str] | None:
        """Continue the connection with a new ticket, and return None.

        If the ticket is refused, return an error's code and message. Raise FeedUnavailableError if it cannot be checked
        whether the ticket was revoked.
        """
        try:
            ticket = read(TicketReader.REFRESH, text)
            await this_process().admit(ticket)
        except TicketError as problem:
            return "ticket_invalid", str(problem)
        except RefusedError as problem:
            if problem.code is CloseCode.FEED_UNAVAILABLE:
                raise FeedUnavailableError(str(problem)) from None  # the client is not to blame
            return "ticket_invalid", str(problem)
        return self._connection.refresh(ticket)

    def _refuse(self, request_id: int | None, code: str, message: str) -> None:
        self._bad_frames += 1
        refused(code, message)
        self._connection.subscriber.queue(frames.error(request_id, code, message))
        if self._bad_frames >= MAX_BAD_FRAMES:
            self._connection.end(CloseCode.BAD_FRAMES)
