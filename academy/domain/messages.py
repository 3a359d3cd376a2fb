"""The rules of bulk messages: their recipients, their text and its size, and the states of each message."""

from enum import StrEnum

MAX_TEXT_LETTERS = 2000
MAX_RECIPIENTS = 5000
NAME = "{name}"
SMS_BYTES, LMS_BYTES = 90, 2000
"""The largest texts that Korean carriers send as a short message (SMS) and as a long one (LMS), in bytes of EUC-KR."""


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


NEVER_LEFT = (MessageCode.NO_PHONE, MessageCode.REFUSED)
"""The codes of messages that certainly did not leave. Such messages may be sent again."""


class CostClass(StrEnum):
    """What a carrier charges for a text, which depends on its size."""

    SMS = "sms"
    LMS = "lms"
    TOO_LONG = "too_long"
    """Carriers send no such text."""


NO_PHONE = {
    To.PARENT: "The parent's phone number is missing.",
    To.STUDENT: "The student's own phone number is missing.",
}
OUTCOME_UNKNOWN = "It is not known whether this message left; it was not sent again."


def fill(text: str, name: str) -> str:
    """Return the text with each `{name}` replaced by the student's name. Other braces stay as they are."""
    return text.replace(NAME, name)


def carrier_bytes(text: str) -> int:
    """Return the size of a text as Korean carriers count it: an ASCII character has one byte, any other two."""
    return 2 * len(text) - len(text.encode("ascii", "ignore"))


def cost_class_of(size: int) -> CostClass:
    """Return the cost class of a text of this size, which is a number of `carrier_bytes`."""
    if size <= SMS_BYTES:
        return CostClass.SMS
    return CostClass.LMS if size <= LMS_BYTES else CostClass.TOO_LONG


def unsendable_letters(text: str) -> str:
    """Return the characters of a text that text messages cannot carry, such as emoji. Each is returned once."""
    return "".join(dict.fromkeys(letter for letter in text if not letter.encode("cp949", "ignore")))
