"""The fake feed, which applications use in their own tests."""

from collections.abc import Callable
from typing import Any

InNode = Callable[[str], Any]
SETUP = """
import { Feed } from "realtime-client";
import { fakeFeed } from "realtime-client/testing";

const outcome = (promise) => promise.then(({ status }) => status, (error) => error.code);
"""


def test_it_has_every_member_of_a_real_feed(in_node: InNode) -> None:
    missing = in_node(f"""{SETUP}
    const feed = fakeFeed();
    export const result = [...Object.getOwnPropertyNames(Feed.prototype), "status"].filter((name) => !(name in feed));
    """)
    assert missing == []


def test_watchers_get_what_a_test_publishes_as_from_a_server(in_node: InNode) -> None:
    seen = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1", status: "PENDING", data: {{ name: "a" }} }}] }});
    const seen = [];
    const end = feed.watch("job:1", (record) => seen.push(record));
    feed.publish({{ topic: "job:2" }});
    feed.publish({{ topic: "job:1" }});
    feed.finish({{ topic: "job:1", status: "FAILED", error: {{ code: "bad", message: "Bad." }} }});
    feed.publish({{ topic: "job:1", status: "PENDING", attempt: 2 }});
    end();
    feed.publish({{ topic: "job:1" }});
    export const result = seen.map(({{ status, offset, attempt, data }}) => [status, offset, attempt, data.name]);
    """)
    assert seen == [["PENDING", 1, 1, "a"], ["PROCESSING", 3, 1, "a"], ["FAILED", 4, 1, "a"], ["PENDING", 5, 2, "a"]]


def test_what_no_server_would_publish_is_an_error(in_node: InNode) -> None:
    error = in_node(f"""{SETUP}
    const feed = fakeFeed();
    feed.finish({{ topic: "job:1" }});
    let result;
    try {{ feed.publish({{ topic: "job:1" }}); }} catch (error) {{ result = error.message; }}
    export {{ result }};
    """)
    assert (
        error == "No server would publish PROCESSING after DONE in attempt 1 of job:1. A retry has a higher `attempt`."
    )


def test_waiting_for_the_end_of_a_job_ends_as_with_a_server(in_node: InNode) -> None:
    outcomes = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}] }});
    const outcomes = Promise.all(["job:1", "job:2", "job:3"].map((topic) => outcome(feed.finished(topic))));
    feed.finish({{ topic: "job:1" }});
    feed.forget("job:2");
    feed.setState("stopped", {{ code: 4410 }});
    export const result = outcomes;
    """)
    assert outcomes == ["DONE", "unknown_topic", 4410]


def test_listeners_get_the_states_that_a_test_sets_and_reconnecting_is_counted(in_node: InNode) -> None:
    result = in_node(f"""{SETUP}
    const feed = fakeFeed({{ state: "connecting" }});
    const states = [feed.state];
    feed.on("state", ({{ state, reason, nextAt }}) => states.push([state, reason, nextAt]));
    feed.setState("offline", {{ reason: "lost", nextAt: 5 }});
    feed.reconnect();
    feed.close();
    feed.close();
    export const result = [states, feed.reconnects];
    """)
    assert result == [["connecting", ["offline", "lost", 5], ["stopped", "closed", None]], 1]


def test_listeners_are_told_which_topics_are_forgotten_when_another_user_has_signed_in(in_node: InNode) -> None:
    result = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}, {{ topic: "job:2" }}] }});
    const forgotten = [];
    feed.on("forget", (topics) => forgotten.push(topics));
    for (const topic of ["job:*", "job:2", "job:3"]) feed.watch(topic, () => undefined);
    feed.forgetAll();
    export const result = [forgotten, feed.records.size];
    """)
    assert result == [[["job:1", "job:2", "job:3"]], 0]


def test_what_the_page_has_read_itself_is_learnt(in_node: InNode) -> None:
    result = in_node(f"""{SETUP}
    const feed = fakeFeed();
    feed.learn([{{ topic: "job:1", attempt: 1, status: "DONE", offset: 0 }}]);
    export const result = feed.records.get("job:1").status;
    """)
    assert result == "DONE"
