import { createCollection } from "@tanstack/db";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect, isTerminal } from "realtime-client";
import { showDevtools } from "realtime-client/devtools";
import { FeedProvider, useFeed, useRecord, useRecords, useStatus } from "realtime-client/react";
import { feedCollectionOptions } from "realtime-client/tanstack-db";

const open = () => connect({ ticket: async () => (await fetch("/ticket")).json() });

function Job({ topic }: { topic: string }) {
  const record = useRecord(topic);
  if (!record) return <p id="job">nothing yet</p>;
  return <p id="job">{isTerminal(record) ? `${topic} has ended: ${record.status}` : `${topic} ${record.progress?.percent} %`}</p>;
}

function Ended() {
  const feed = useFeed();
  const [ended, setEnded] = useState(0);
  useEffect(() => {
    if (!feed) return;
    const jobs = createCollection(feedCollectionOptions({ feed, topics: "job:*", startSync: true }));
    const subscription = jobs.subscribeChanges(() => setEnded(jobs.toArray.filter(isTerminal).length));
    const hide = showDevtools(feed);
    return () => {
      hide();
      subscription.unsubscribe();
    };
  }, [feed]);
  return <p id="ended">{ended} ended</p>;
}

function Summary() {
  const { state } = useStatus();
  return <p id="summary">{`${state}, ${useRecords("*").length} jobs`}</p>;
}

createRoot(document.querySelector("main") as HTMLElement).render(
  <StrictMode>
    <FeedProvider feed={open}>
      <Job topic="job:a" />
      <Ended />
      <Summary />
    </FeedProvider>
  </StrictMode>,
);
