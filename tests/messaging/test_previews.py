"""Previews of bulk messages: they show what would be sent, count it as carriers do, and send nothing."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from academy import message_previews
from academy.adapters.db.django.repositories_lectures import create_lecture
from academy.domain.messages import To
from academy.message_previews import Preview, preview_messages
from academy.messages import WrongMessageError
from apps.domains.ai.models import AIJob
from tests.messaging.conftest import PHONE, MessagingBench


def preview(bench: MessagingBench, text: str, *students: int, to: To = To.PARENT, lecture: Any = None) -> Preview:
    return preview_messages(tenant_id=bench.tenant.pk, text=text, to=to, lecture_id=lecture, student_ids=students)


def test_a_preview_has_the_texts_with_the_names_and_creates_nothing(bench: MessagingBench) -> None:
    students = [bench.student(name) for name in ("가하나", "나두나", "다세나 ab", "라네나")]
    shown = preview(bench, "{name} 학생", *students)
    assert [sample.text for sample in shown.samples] == ["가하나 학생", "나두나 학생", "다세나 ab 학생"]
    assert (shown.recipients, shown.messages) == (4, 4)
    assert (shown.longest.name, shown.longest.letters, shown.longest.bytes) == ("다세나 ab", 9, 14)
    assert (AIJob.objects.count(), bench.waiting()) == (0, 0)


def test_a_preview_names_students_without_a_number_and_numbers_that_get_several_messages(
    bench: MessagingBench,
) -> None:
    students = [
        bench.student("가하나", phone=PHONE),
        bench.student("나두나"),
        bench.student("다세나", phone=PHONE),
        bench.student("라네나", phone="01055551234"),
    ]
    shown = preview(bench, "a", *students, to=To.STUDENT)
    assert (shown.without_number, shown.without_number_names) == (1, ["나두나"])
    assert shown.shared_numbers == 1
    assert [(one.recipient, one.messages, one.names) for one in shown.shared] == [(PHONE, 2, ["가하나", "다세나"])]
    assert (shown.recipients, shown.messages) == (4, 3)
    assert [sample.name for sample in shown.samples] == ["가하나", "다세나", "라네나"]


def test_a_preview_to_students_without_any_number_still_shows_a_text(bench: MessagingBench) -> None:
    shown = preview(bench, "{name}", bench.student("가하나"), to=To.STUDENT)
    assert (shown.messages, shown.samples[0].text, shown.classes["sms"], shown.cost) == (0, "가하나", 0, None)


def test_long_lists_of_names_are_cut_but_counted(bench: MessagingBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_previews, "MAX_NAMED", 2)
    monkeypatch.setattr(message_previews, "MAX_SHARING", 3)
    without = [bench.student() for _ in range(4)]
    sharing = [bench.student(phone=number) for number in (PHONE, "01011112222", "01011113333") for _ in range(4)]
    shown = preview(bench, "a", *without, *sharing, to=To.STUDENT)
    assert (shown.without_number, len(shown.without_number_names)) == (4, 2)
    assert (shown.shared_numbers, len(shown.shared)) == (3, 2)
    assert (shown.shared[0].messages, len(shown.shared[0].names)) == (4, 3)


def test_messages_are_counted_by_the_class_that_they_cost(bench: MessagingBench) -> None:
    students = [bench.student(name) for name in ("가", "가나", "가나다")]
    # The text has 88 bytes, and the names have 2, 4 and 6: 90, 92 and 94 bytes.
    assert preview(bench, "{name}" + "가" * 44, *students).classes == {"sms": 1, "lms": 2, "too_long": 0}
    assert preview(bench, "{name}" + "가" * 998, *students).classes == {"sms": 0, "lms": 2, "too_long": 1}


@pytest.mark.parametrize(
    ("sms", "lms", "cost"),
    [(None, None, None), (8.4, None, None), (None, 25.9, None), (8.4, 25.9, 60.2), (0.0, 30.0, 60.0)],
)
def test_the_cost_is_known_if_the_prices_are_configured(
    bench: MessagingBench, settings: Settings, sms: float | None, lms: float | None, cost: float | None
) -> None:
    settings.MESSAGE_PRICE_SMS, settings.MESSAGE_PRICE_LMS = sms, lms
    students = [bench.student(name) for name in ("가", "가나", "가나다")]
    shown = preview(bench, "{name}" + "가" * 44, *students)
    assert (shown.prices, shown.cost) == ({"sms": sms, "lms": lms}, cost)


def test_a_missing_price_of_a_class_without_messages_does_not_hide_the_cost(
    bench: MessagingBench, settings: Settings
) -> None:
    settings.MESSAGE_PRICE_SMS, settings.MESSAGE_PRICE_LMS = 9.0, None
    assert preview(bench, "a", bench.student(), bench.student()).cost == 18.0


def test_letters_that_text_messages_cannot_carry_are_named(bench: MessagingBench) -> None:
    student = bench.student("김💛")
    assert preview(bench, "축하합니다 🎉🎉 €", student).unsendable == "🎉"
    assert preview(bench, "{name} 🎉", student).unsendable == "🎉💛"


def test_a_preview_refuses_what_sending_refuses(bench: MessagingBench) -> None:
    empty = create_lecture(bench.tenant.pk, {"title": "빈 강의"}).pk
    with pytest.raises(WrongMessageError, match="The lecture has no students"):
        preview(bench, "a", lecture=empty)
    with pytest.raises(WrongMessageError, match="no such lecture"):
        preview(bench, "a", lecture=empty + 1)
    with pytest.raises(WrongMessageError, match="these ids: 999999999"):
        preview(bench, "a", bench.student(), 999_999_999)
    with pytest.raises(WrongMessageError, match="more than 2000 letters"):
        preview(bench, "{name}" * 300, bench.student("가장긴이름의학생"))


def test_the_number_of_statements_does_not_grow_with_the_recipients(bench: MessagingBench) -> None:
    def statements(students: int) -> int:
        ids = [bench.student(phone=PHONE) for _ in range(students)]
        with CaptureQueriesContext(connection) as captured:
            preview(bench, "{name}", *ids)
        return len(captured)

    assert statements(1) == statements(60) == 1
