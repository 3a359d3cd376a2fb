"""How many large request bodies may arrive at the same time: from one sender, from one academy, and at one process."""

from contextlib import suppress

import pytest

from config.body_slots import LIGHT_BYTES, NoSlotError, Sender, SlotLimits, Slots

ANNA, BEN, CHUL = Sender(1, 1), Sender(1, 2), Sender(2, 3)
MB = LIGHT_BYTES
LIMITS = SlotLimits(unfinished=5, unfinished_per_tenant=3, unfinished_per_user=2, total_bytes=1000 * MB)
MANY = SlotLimits(unfinished=64, unfinished_per_tenant=16, unfinished_per_user=4, total_bytes=8000 * MB)


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
    slots.take(Sender(3, 4), 1)
    assert not refused(slots, Sender(4, 5)).is_own


def test_a_finished_body_makes_way_but_its_bytes_count_until_the_answer() -> None:
    slots = Slots(LIMITS)
    taken = [slots.take(sender, 250 * MB) for sender in (ANNA, BEN)]
    for slot in taken:
        slot.finish()
        slot.finish()
    assert refused(slots, ANNA, 2 * MB).is_own
    assert not refused(slots, CHUL, 251 * MB).is_own
    slots.take(CHUL, 250 * MB)
    taken[0].release()
    taken[0].release()
    assert not refused(slots, Sender(3, 4), 251 * MB).is_own
    slots.take(Sender(3, 4), 250 * MB)


def test_a_body_of_any_size_is_accepted_if_there_is_no_other() -> None:
    Slots(LIMITS).take(ANNA, 1000 * MB)
    assert not refused(Slots(LIMITS), ANNA, 1001 * MB).is_own


def test_there_is_always_space_for_one_more_academy() -> None:
    slots = Slots(MANY)
    senders = [Sender(tenant, 100 * tenant + user) for tenant in range(1, 7) for user in range(10)]
    for size in (2000 * MB, 500 * MB, 100 * MB, 20 * MB):
        for sender in senders:
            with suppress(NoSlotError):
                while True:
                    slots.take(sender, size)
    slots.take(Sender(7, 700), 21 * MB)


def test_a_user_cannot_take_all_space_of_the_academy() -> None:
    slots = Slots(MANY)
    slots.take(ANNA, 2000 * MB)
    assert refused(slots, ANNA, 2000 * MB).is_own
    slots.take(BEN, 2000 * MB)
    slots = Slots(MANY)
    for user in range(2, 10):
        with suppress(NoSlotError):
            while True:
                slots.take(Sender(1, user), 2 * MB)
        if user < 5:
            slots.take(Sender(1, user + 100), 2 * MB).release()


@pytest.mark.parametrize("order", [1, -1])
def test_bodies_of_up_to_1_mb_and_files_do_not_wait_for_each_other(order: int) -> None:
    slots = Slots(LIMITS)
    first, second = (MB, 2 * MB)[::order]
    senders = ANNA, ANNA, BEN, CHUL, Sender(3, 4)
    for sender in senders:
        slots.take(sender, first)
    refused(slots, CHUL, first)
    for sender in senders:
        slots.take(sender, second)


def test_the_counters_are_empty_when_all_bodies_are_gone() -> None:
    slots = Slots(LIMITS)
    for slot in [slots.take(sender, size) for sender in (ANNA, BEN, CHUL) for size in (10, 2 * MB)]:
        slot.release()
    assert slots.empty
