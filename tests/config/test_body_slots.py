"""How many large bodies one sender, one academy and one process may have at a time."""

import pytest

from config.body_slots import NoSlotError, Sender, SlotLimits, Slots

ANNA, BEN, CHUL = Sender(1, 1), Sender(1, 2), Sender(2, 3)
LIMITS = SlotLimits(unfinished=4, unfinished_per_tenant=3, unfinished_per_user=2, total_bytes=1000)


def refused(slots: Slots, sender: Sender, size: int = 1) -> NoSlotError:
    with pytest.raises(NoSlotError) as found:
        slots.take(sender, size)
    return found.value


def test_a_sender_an_academy_and_the_process_each_have_a_limit() -> None:
    slots = Slots(LIMITS)
    for sender in (ANNA, ANNA, BEN):
        slots.take(sender, 1)
    assert refused(slots, ANNA).is_own
    assert refused(slots, BEN).is_own
    slots.take(CHUL, 1)
    assert not refused(slots, Sender(3, 4)).is_own


def test_a_finished_body_makes_way_but_its_bytes_count_until_the_answer() -> None:
    slots = Slots(LIMITS)
    taken = [slots.take(ANNA, 250) for _ in range(2)]
    for slot in taken:
        slot.finish()
        slot.finish()
    assert "large files" in str(refused(slots, ANNA, 1))
    slots.take(CHUL, 500)
    assert not refused(slots, Sender(3, 4)).is_own
    taken[0].release()
    taken[0].release()
    slots.take(ANNA, 250)


def test_one_body_of_any_size_that_there_is_room_for_is_taken() -> None:
    Slots(LIMITS).take(ANNA, 1000)


def test_nobody_is_remembered_when_all_are_gone() -> None:
    slots = Slots(LIMITS)
    for slot in [slots.take(sender, 10) for sender in (ANNA, BEN, CHUL)]:
        slot.release()
    assert slots.empty
