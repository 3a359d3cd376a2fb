// Uses each entry as an application would. Only the compiler reads this: whatever has a wrong type is marked as expected.
import { createCollection } from "@tanstack/db";
import { FeedError, connect, isTerminal, type Record, type State, type Status } from "realtime-client";
import { showDevtools } from "realtime-client/devtools";
import { FeedProvider, useFeed, useRecord, useRecords, useStatus } from "realtime-client/react";
import { feedCollectionOptions } from "realtime-client/tanstack-db";
import { fakeFeed } from "realtime-client/testing";

const controller = new AbortController();
const feed = connect({
  ticket: () => Promise.reject(new Error("no ticket")),
  resolve: async (topic: string): Promise<Record | null> => feed.records.get(topic) ?? null,
  share: false,
  signal: controller.signal,
});
// @ts-expect-error: a ticket has more than that
connect({ ticket: async () => ({ ticket: "t" }) });
// @ts-expect-error: without a way to get tickets, nothing can be connected
connect({});

export const end: () => void = feed.watch("job:*", (record) => record.error?.message.toUpperCase());
export const off: () => void = feed.on("state", ({ state, nextAt }: Status) => [state satisfies State, nextAt]);
feed.on("forget", (topics: string[]) => topics.join());
// @ts-expect-error: there is no such event
feed.on("records", () => undefined);
// @ts-expect-error: the state is read, and not written
feed.state = "live";

export async function rows(): Promise<number> {
  try {
    const record = await feed.finished("job:9", { signal: controller.signal });
    return isTerminal(record) ? record.data.rows : 0;
  } catch (error) {
    return error instanceof FeedError && error.code !== "unknown_topic" ? error.code : 0;
  }
}

export function Video({ id }: { id: number }): string | undefined {
  useFeed()?.reconnect();
  const { state } = useStatus();
  const records: readonly Record[] = useRecords("video:*");
  // @ts-expect-error: there may be no record yet
  useRecord(`video:${id}`).status;
  return useRecord(id ? `video:${id}` : null)?.status ?? `${state} ${records.length}`;
}

export const providers = [FeedProvider({ feed }), FeedProvider({ feed: () => feed, children: "inside" })];

export const jobs = createCollection(feedCollectionOptions({ feed, topics: "job:*", id: "jobs" }));
export const status: string | undefined = jobs.get("job:9")?.status;

const fake = fakeFeed({ records: [{ topic: "job:1" }], state: "offline" });
showDevtools(fake, { parent: document.body })();
fake.publish({ topic: "job:1", progress: { percent: 5 } });
// @ts-expect-error: a record has a topic
fake.publish({ status: "DONE" });
// @ts-expect-error: there is no such state
fake.setState("asleep");
