"""Topics (`kind:id`), and filters that say which topics a connection watches."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from realtime.records.errors import BadTopicError

EVERYTHING = "*"
STATS = "stats:now"
"""The topic with the figures of a tenant or, in the feed of SYSTEM_TENANT, of all tenants (`realtime.web.figures`)."""
UNLISTED_KINDS = frozenset({"stats"})
"""The kinds that `*` leaves out. A client is sent them only if it names them and its ticket names them too."""
MAX_TOPICS = 200
"""How many topics one connection may name."""
KEPT_FILTERS = 1024
"""How many filters are kept for connections to come: those that were used last."""

_TOPIC = re.compile(r"[a-z]{1,16}:[A-Za-z0-9_-]{1,64}", re.ASCII)
_PATTERN = re.compile(r"\*|[a-z]{1,16}:(?:\*|[A-Za-z0-9_-]{1,64})", re.ASCII)


def check_topic(topic: str) -> str:
    """Return the topic unchanged. Raise BadTopicError if it is not valid."""
    if not (isinstance(topic, str) and _TOPIC.fullmatch(topic)):
        raise BadTopicError(f"{topic!r:.100} is no topic: write kind:id, as in video:42.")
    return topic


def is_named(pattern: str) -> bool:
    """Return whether the pattern names one topic, rather than all topics or all of a kind."""
    return not pattern.endswith("*")


def is_unlisted(pattern: str) -> bool:
    """Return whether `*` does not match this topic or, for a pattern `kind:*`, the topics of this kind."""
    return pattern.partition(":")[0] in UNLISTED_KINDS


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A set of patterns. Each is a topic, `kind:*`, or `*`, which stands for all kinds but those in `UNLISTED_KINDS`.

    If `*` was given, `of` leaves out each `kind:*` that `*` includes, but keeps the topics that were given by name.
    """

    patterns: frozenset[str]
    hash: str = field(compare=False)

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "TopicFilter":
        """Return the filter of these patterns. Raise BadTopicError if one is not valid or there are too many."""
        return _filter_of(frozenset(patterns))

    @classmethod
    def parse(cls, text: str) -> "TopicFilter":
        """Return the filter of the query parameter `topics`: patterns separated by commas.

        Raise BadTopicError as `of` does.
        """
        return cls.of(part.strip() for part in text.split(",") if part.strip())

    @property
    def named(self) -> list[str]:
        """The topics that are asked for by name. Their records are sent even if new clients are not shown them."""
        return sorted(p for p in self.patterns if is_named(p))

    def matches(self, topic: str) -> bool:
        """Return whether this topic is watched."""
        if topic in self.patterns or (EVERYTHING in self.patterns and not is_unlisted(topic)):
            return True
        return f"{topic.partition(':')[0]}:*" in self.patterns

    def covers(self, pattern: str) -> bool:
        """Return whether this filter matches everything that the pattern matches."""
        if pattern in self.patterns or self._covers_kind(pattern):
            return True
        return EVERYTHING in self.patterns and not is_unlisted(pattern)

    def _covers_kind(self, pattern: str) -> bool:
        return pattern != EVERYTHING and f"{pattern.partition(':')[0]}:*" in self.patterns


@lru_cache(maxsize=KEPT_FILTERS)
def _filter_of(given: frozenset[str]) -> TopicFilter:
    """Return the filter of these patterns. Connections that watch the same topics share one object."""
    for pattern in given:
        if not _PATTERN.fullmatch(pattern):
            raise BadTopicError(f"{pattern[:100]!r} is no topic: write kind:id, kind:* or *.")
    if EVERYTHING in given:
        given = frozenset({EVERYTHING}) | {p for p in given if is_named(p) or is_unlisted(p)}
    if len(given) > MAX_TOPICS:
        raise BadTopicError(f"{len(given)} topics are too many: a connection may name {MAX_TOPICS}.")
    return TopicFilter(given, hashlib.sha256(",".join(sorted(given)).encode()).hexdigest()[:8])
