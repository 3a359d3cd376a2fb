"""Invents students for samples and demo data."""

from random import Random

from academy.domain.student_rows import StudentRow

_FAMILIES = "김김김김김이이이이박박박최최정정강조윤장임한오서신권황안송류홍"
_FIRST = "민서지하도예윤시주은건우현수아유다채준태"
_SECOND = "준서윤우연진아현호원빈율린은영훈희재"
_SCHOOLS = ("한빛중", "새봄중", "가람중", "누리고", "다솜고", "미르고", "푸른초", "아라초")
_GRADES = ("1", "2", "3")


def invent_students(count: int, random: Random) -> list[StudentRow]:
    """Return `count` different students, some of them siblings. Their `line` counts from 1.

    Their phone numbers begin with 0100 or 0101, which are not assigned, so that a demo can never call a stranger.
    """
    people: dict[tuple[str, str], StudentRow] = {}
    phone = ""
    while len(people) < count:
        name = random.choice(_FAMILIES) + random.choice(_FIRST) + random.choice(_SECOND)
        sibling = phone and random.random() < 0.08  # noqa: PLR2004 - one in twelve
        phone = phone if sibling else _phone(random)
        own = _phone(random) if random.random() < 0.6 else ""  # noqa: PLR2004 - most have a phone of their own
        row = StudentRow(len(people) + 1, name, phone, own, random.choice(_SCHOOLS), random.choice(_GRADES))
        people.setdefault(row.key, row)
    return list(people.values())


def _phone(random: Random) -> str:
    return f"010{random.randrange(20_000_000):08d}"
