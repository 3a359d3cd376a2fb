"""The sections of the protocol's page (`docs/reference/realtime-protocol.md`), which verdicts name."""

from enum import StrEnum


class Section(StrEnum):
    CONNECTING = "Connecting"
    SERVER_FRAMES = "Frames from the server"
    CLIENT_FRAMES = "Frames from the client"
    EVENTS = "Server-Sent Events"
    POLL = "One poll for all"
    PLACES = "Places"
    FOLD = "The fold"
    CLIENT = "How to write a client"
    CODES = "Close codes"
    LIMITS = "Limits"
