"""The frames of realtime.v1 and their parts.

Written by script/frame-types from docs/reference/asyncapi.yaml: change that document, and run the script again.
"""

from typing import Any, Literal, NotRequired, TypedDict

Place = str
"""A text (`epoch.offset.filter`) that says which records the client has.

The client stores the place as it is, and sends it when it reconnects.
"""
RequestId = int
"""A whole number that the client chooses, written without a decimal point."""
Topic = str
TopicPattern = str
"""A topic, all of a kind (`job:*`), or all (`*`)."""
TopicPatterns = list[TopicPattern]
Percent = float


class Step(TypedDict):
    index: int
    total: int
    name: str
    percent: Percent


class Progress(TypedDict):
    percent: Percent
    step: Step | None
    remaining_seconds: float | None


class RecordError(TypedDict):
    code: str
    message: str


class Record(TypedDict):
    """The latest state of one topic. At most 64 KiB."""

    offset: int
    """Its number in the feed; 0 if it was restored from the database."""
    topic: Topic
    attempt: int
    status: Literal["PENDING", "PROCESSING", "READY", "DONE", "FAILED", "CANCELLED"]
    data: dict[str, Any]
    """Chosen by the project. A result that is too large is replaced by `result_url`."""
    error: RecordError | None
    stalled: bool
    """Whether the job's worker has gone silent. If so, the job will be tried again."""
    published_at: float
    """Unix seconds."""
    progress: Progress | None
    """`null` if terminal."""


class Unknown(TypedDict):
    """Sent for a topic that the client named and the server does not know. Request the job's detail once."""

    topic: Topic
    status: Literal["UNKNOWN"]


RecordsShown = list[Unknown | Record]


class WelcomeFrame(TypedDict):
    type: Literal["welcome"]
    connection: str
    """The id of the connection in the server's log."""
    ping_seconds: float
    expires_in: int
    """How many seconds this connection may live without a new ticket."""


class SnapshotFrame(TypedDict):
    type: Literal["snapshot"]
    id: None
    place: NotRequired[Place]
    """Only in the last part."""
    recovered: bool
    """Whether the place was usable. If so, the records are those that changed since."""
    more: bool
    """Whether another part follows. A part has at most 256 KiB, or one record."""
    records: RecordsShown


class RecordsFrame(TypedDict):
    type: Literal["records"]
    place: Place
    records: list[Record]


class PingFrame(TypedDict):
    type: Literal["ping"]
    place: Place


class DelayedFrame(TypedDict):
    type: Literal["delayed"]
    seconds: float
    """How many seconds the feed could not be read. What the client shows is that old."""


class SubscribedFrame(TypedDict):
    type: Literal["subscribed"]
    id: RequestId
    place: Place
    records: RecordsShown


class UnsubscribedFrame(TypedDict):
    type: Literal["unsubscribed"]
    id: RequestId
    place: Place


class RefreshedFrame(TypedDict):
    type: Literal["refreshed"]
    expires_in: int


class ErrorFrame(TypedDict):
    type: Literal["error"]
    id: RequestId | None
    """The id of the refused frame, if it had one."""
    code: Literal["bad_frame", "forbidden_topic", "too_many_topics", "ticket_invalid", "unavailable"]
    message: str
    """One sentence, for people."""


class ClosingFrame(TypedDict):
    type: Literal["closing"]
    code: Literal[1012, 4001, 4002, 4003, 4100, 4101, 4102, 4400, 4401, 4403, 4410]
    reason: str
    """A text for people. For a refused handshake it says more than the table of codes."""
    retry_after_ms: NotRequired[int]
    """If present, the client should wait this long."""
    limit: NotRequired[Literal["user", "tenant", "process"]]
    """Only with 4101. It says whose connections are too many. With `user`, the user can close some."""


class PongFrame(TypedDict):
    type: Literal["pong"]


class SubscribeFrame(TypedDict):
    type: Literal["subscribe"]
    id: RequestId
    topics: TopicPatterns


class UnsubscribeFrame(TypedDict):
    type: Literal["unsubscribe"]
    id: RequestId
    topics: TopicPatterns


class RefreshFrame(TypedDict):
    type: Literal["refresh"]
    ticket: str
    """Has at most 4096 bytes."""


ServerFrame = (
    WelcomeFrame
    | SnapshotFrame
    | RecordsFrame
    | PingFrame
    | DelayedFrame
    | SubscribedFrame
    | UnsubscribedFrame
    | RefreshedFrame
    | ErrorFrame
    | ClosingFrame
)
ClientFrame = PongFrame | SubscribeFrame | UnsubscribeFrame | RefreshFrame
