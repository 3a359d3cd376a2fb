"""Shows what a bulk message would be, without sending anything.

A preview has the texts, the size and the cost of the messages, and the missing and shared phone numbers.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from academy.adapters.db.django.repositories_messages import Addressee, Draft
from academy.domain.messages import NAME, CostClass, To, carrier_bytes, cost_class_of, unsendable_letters
from academy.messages import drafts_to, find_addressees

SAMPLES = 3
MAX_NAMED = 50
"""How many students without a phone number, and how many shared phone numbers, a preview lists at most. The preview
counts all of them."""
MAX_SHARING = 10
"""How many students a preview lists at most for each shared phone number."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The message as one recipient would get it: the student's name is filled into the text."""

    name: str
    recipient: str
    text: str
    letters: int
    bytes: int
    cost_class: CostClass


@dataclass(frozen=True, slots=True)
class SharedNumber:
    """A phone number that gets several messages, because several students have it."""

    recipient: str
    messages: int
    names: list[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent.

    `messages` counts the students with a phone number, and `without_number` the students without one. `numbers` counts
    the different phone numbers. `longest` is the message with the most bytes. `prices` has the price of a message of
    each class, or None if it is not known. `cost` is the price of all messages that are not too long. It is None if
    there is no such message, or if the price of one is not known.
    """

    recipients: int
    messages: int
    numbers: int
    without_number: int
    without_number_names: list[str]
    shared_numbers: int
    shared: list[SharedNumber]
    samples: list[Sample]
    longest: Sample
    unsendable: str
    classes: dict[str, int]
    prices: dict[str, float | None]
    cost: float | None


def preview_messages(
    *, tenant_id: int, text: str, to: To, lecture_id: int | None = None, student_ids: Sequence[int] = ()
) -> Preview:
    """Return what `submit_messages` would send with these arguments.

    Raises WrongMessageError if `submit_messages` would not accept them.
    """
    addressees = find_addressees(tenant_id, to, lecture_id, set(student_ids))
    drafts = drafts_to(addressees, text, to)
    pairs = list(zip(addressees, drafts, strict=True))
    sent = [(addressee, draft) for addressee, draft in pairs if addressee.phone]
    without = [addressee.name for addressee in addressees if not addressee.phone]
    names = [addressee.name for addressee, _ in sent]
    sizes = [carrier_bytes(draft.text) for _, draft in sent]
    classes = Counter(map(cost_class_of, sizes))
    shared = _shared_numbers(sent)
    longest = max(sent or pairs, key=lambda pair: carrier_bytes(pair[1].text))
    return Preview(
        recipients=len(addressees),
        messages=len(sent),
        numbers=len({draft.recipient for _, draft in sent}),
        without_number=len(without),
        without_number_names=without[:MAX_NAMED],
        shared_numbers=len(shared),
        shared=shared[:MAX_NAMED],
        samples=[_sample(*pair) for pair in (sent or pairs)[:SAMPLES]],
        longest=_sample(*longest),
        unsendable=unsendable_letters(text + "".join(names if NAME in text else ())),
        classes={cost_class.value: classes[cost_class] for cost_class in CostClass},
        prices=_prices(),
        cost=_cost(classes),
    )


def _sample(addressee: Addressee, draft: Draft) -> Sample:
    size = carrier_bytes(draft.text)
    return Sample(addressee.name, addressee.phone, draft.text, len(draft.text), size, cost_class_of(size))


def _shared_numbers(sent: Sequence[tuple[Addressee, Draft]]) -> list[SharedNumber]:
    names = defaultdict[str, list[str]](list)
    for addressee, draft in sent:
        names[draft.recipient].append(addressee.name)
    return [
        SharedNumber(recipient, len(sharing), sharing[:MAX_SHARING])
        for recipient, sharing in names.items()
        if len(sharing) > 1
    ]


def _prices() -> dict[str, float | None]:
    return {CostClass.SMS.value: settings.MESSAGE_PRICE_SMS, CostClass.LMS.value: settings.MESSAGE_PRICE_LMS}


def _cost(classes: Counter[CostClass]) -> float | None:
    prices = _prices()
    charged = {cost_class: number for cost_class, number in classes.items() if cost_class is not CostClass.TOO_LONG}
    if any(prices[cost_class] is None for cost_class in charged) or not charged:
        return None
    return round(sum((prices[cost_class] or 0.0) * number for cost_class, number in charged.items()), 2)
