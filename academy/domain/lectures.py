"""The rules of lectures."""

MAX_ENROLLED_AT_ONCE = 1000


def lecture_topic(lecture_id: int) -> str:
    """Return the topic whose record changes whenever the READY videos of the lecture have changed."""
    return f"lecture:{lecture_id}"
