"""A collection of TanStack DB that a feed keeps up to date."""

from collections.abc import Callable
from typing import Any

InNode = Callable[[str], Any]
SETUP = """
import { createCollection } from "@tanstack/db";
import { feedCollectionOptions } from "realtime-client/tanstack-db";
import { fakeFeed } from "realtime-client/testing";

const collect = (feed, options) => createCollection(feedCollectionOptions({ feed, startSync: true, ...options }));
const turn = () => new Promise((resolve) => setTimeout(resolve));
"""


def test_it_has_the_newest_record_of_each_topic_of_its_kind(in_node: InNode) -> None:
    statuses = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}, {{ topic: "video:1" }}] }});
    const jobs = collect(feed, {{ topics: "job:*" }});
    feed.publish({{ topic: "job:2" }});
    feed.finish({{ topic: "job:1", data: {{ rows: 3 }} }});
    await turn();
    export const result = jobs.toArray.map(({{ topic, status, data }}) => [topic, status, data]);
    """)
    assert sorted(statuses) == [["job:1", "DONE", {"rows": 3}], ["job:2", "PROCESSING", {}]]


def test_a_record_replaces_the_whole_record_before_it(in_node: InNode) -> None:
    changes = in_node(f"""{SETUP}
    const feed = fakeFeed();
    const jobs = collect(feed);
    feed.publish({{ topic: "job:1", extra: 1 }});
    await turn();
    feed.finish({{ topic: "job:1" }});
    await turn();
    export const result = "extra" in jobs.get("job:1");
    """)
    assert changes is False


def test_a_frame_of_many_records_is_one_transaction(in_node: InNode) -> None:
    sizes = in_node(f"""{SETUP}
    const feed = fakeFeed();
    const jobs = collect(feed);
    const sizes = [];
    jobs.subscribeChanges((changes) => sizes.push(changes.length));
    for (let number = 0; number < 100; number++) feed.publish({{ topic: `job:${{number}}` }});
    await turn();
    export const result = sizes;
    """)
    assert sizes == [100]


def test_a_topic_that_is_gone_is_deleted_and_can_come_back(in_node: InNode) -> None:
    sizes = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}] }});
    const jobs = collect(feed);
    const sizes = [];
    const note = async () => {{ await turn(); sizes.push(jobs.size); }};
    await note();
    feed.forget("job:1");
    feed.forget("job:never");
    await note();
    feed.publish({{ topic: "job:1" }});
    await note();
    export const result = sizes;
    """)
    assert sizes == [1, 0, 1]


def test_it_forgets_the_records_of_a_user_when_another_one_has_signed_in(in_node: InNode) -> None:
    topics = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}, {{ topic: "job:2" }}] }});
    const jobs = collect(feed);
    await turn();
    feed.forgetAll();
    await turn();
    const between = jobs.size;
    feed.publish({{ topic: "job:2" }});
    feed.setState("live");
    await turn();
    export const result = [between, [...jobs.keys()]];
    """)
    assert topics == [0, ["job:2"]]


def test_it_is_ready_after_the_first_snapshot_and_has_its_records_then(in_node: InNode) -> None:
    ready = in_node(f"""{SETUP}
    const feed = fakeFeed({{ state: "connecting" }});
    const jobs = collect(feed);
    const before = jobs.status;
    const loaded = jobs.preload().then(() => [before, jobs.status, jobs.size]);
    feed.setState("offline");
    feed.publish({{ topic: "job:1" }});
    feed.setState("live");
    export const result = loaded;
    """)
    assert ready == ["loading", "ready", 1]


def test_it_reports_a_feed_that_ends_before_its_first_snapshot(in_node: InNode) -> None:
    failure = in_node(f"""{SETUP}
    const feed = fakeFeed({{ state: "connecting" }});
    const jobs = collect(feed);
    const loaded = jobs.preload().catch(String);
    feed.setState("stopped", {{ code: 4403 }});
    export const result = loaded;
    """)
    assert failure == "Error: The feed ended with 4403 before its first snapshot."


def test_after_cleaning_up_it_takes_nothing_and_can_begin_again(in_node: InNode) -> None:
    sizes = in_node(f"""{SETUP}
    const feed = fakeFeed({{ records: [{{ topic: "job:1" }}] }});
    const jobs = collect(feed);
    await turn();
    feed.publish({{ topic: "job:2" }});
    await jobs.cleanup();
    await turn();
    const between = jobs.size;
    await jobs.preload();
    await turn();
    export const result = [between, jobs.size];
    """)
    assert sizes == [0, 2]


def test_nobody_else_can_change_it(in_node: InNode) -> None:
    failure = in_node(f"""{SETUP}
    const jobs = collect(fakeFeed());
    export const result = Promise.resolve().then(() => jobs.insert({{ topic: "job:1" }})).catch((error) => error.name);
    """)
    assert failure == "MissingHandlerError"
