"""The rules of bulk messages: their recipients, their text, and the states of each message."""

from enum import StrEnum

MAX_TEXT_LETTERS = 2000
MAX_RECIPIENTS = 5000
NAME = "{name}"


class To(StrEnum):
    """Whether a message goes to the parent's or to the student's phone. In both cases it is about the student."""

    PARENT = "parent"
    STUDENT = "student"


class MessageStatus(StrEnum):
    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    SENT = "SENT"
    FAILED = "FAILED"


class MessageCode(StrEnum):
    """Why a message failed."""

    NO_PHONE = "no_phone"
    REFUSED = "refused"
    OUTCOME_UNKNOWN = "outcome_unknown"


NO_PHONE = {
    To.PARENT: "The parent's phone number is missing.",
    To.STUDENT: "The student's own phone number is missing.",
}
OUTCOME_UNKNOWN = "It is not known whether this message left; it was not sent again."


def fill(text: str, name: str) -> str:
    """Return the text with each `{name}` replaced by the student's name. Other braces stay as they are."""
    return text.replace(NAME, name)
