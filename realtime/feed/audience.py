"""Groups the subscribers that watch the same topics of a feed, so that a frame is written once for all of them."""

from collections.abc import Iterable

from realtime.feed.subscriber import Subscriber
from realtime.records.record import Record
from realtime.records.topics import EVERYTHING, TopicFilter, is_unlisted


class Audience:
    """The subscribers that have the same filter."""

    def __init__(self, topics: TopicFilter) -> None:
        self.topics = topics
        self._subscribers: set[Subscriber] = set()
        self._members: tuple[Subscriber, ...] | None = None

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """The subscribers. The same tuple is returned until one of them joins or leaves."""
        if self._members is None:
            self._members = tuple(self._subscribers)
        return self._members

    def add(self, subscriber: Subscriber) -> None:
        self._subscribers.add(subscriber)
        self._members = None

    def remove(self, subscriber: Subscriber) -> bool:
        """Remove a subscriber. Return whether the audience is now empty."""
        self._subscribers.discard(subscriber)
        self._members = None
        return not self._subscribers


class Audiences:
    """The audiences of one feed, indexed by topic: a record costs time only for the audiences that watch it."""

    def __init__(self) -> None:
        self._by_filter: dict[TopicFilter, Audience] = {}
        self._by_pattern: dict[str, set[Audience]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_filter)

    def all(self) -> Iterable[Audience]:
        return self._by_filter.values()

    def named(self) -> set[str]:
        """Return the topics that at least one subscriber asked for by name."""
        return {topic for topics in self._by_filter for topic in topics.named}

    def is_named(self, topic: str) -> bool:
        """Return whether at least one subscriber asked for this topic by name."""
        return topic in self._by_pattern

    def add(self, subscriber: Subscriber) -> None:
        audience = self._by_filter.get(subscriber.topics)
        if audience is None:
            audience = self._by_filter[subscriber.topics] = Audience(subscriber.topics)
            for pattern in audience.topics.patterns:
                self._by_pattern.setdefault(pattern, set()).add(audience)
        audience.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        audience = self._by_filter.get(subscriber.topics)
        if audience is None or not audience.remove(subscriber):
            return
        del self._by_filter[audience.topics]
        for pattern in audience.topics.patterns:
            self._by_pattern[pattern].discard(audience)
            if not self._by_pattern[pattern]:
                del self._by_pattern[pattern]

    def concerned(self, records: Iterable[Record]) -> dict[Audience, list[Record]]:
        """Return the audiences that watch any of these records, each with the records that it watches."""
        watched: dict[Audience, list[Record]] = {}
        for record in records:
            patterns = [f"{record.topic.partition(':')[0]}:*", record.topic]
            if not is_unlisted(record.topic):
                patterns.append(EVERYTHING)
            for audience in set().union(*(self._by_pattern.get(pattern, ()) for pattern in patterns)):
                watched.setdefault(audience, []).append(record)
        return watched
