import { connect, type Feed, type Granted, type Record } from "realtime-client";

const output = document.querySelector("output") as HTMLOutputElement;

async function ticket(): Promise<Granted> {
  const response = await fetch("/ticket");
  return (await response.json()) as Granted;
}

function show({ topic, status, progress }: Record): void {
  output.value = `${topic} ${status} ${progress?.percent ?? ""}`;
}

const feed: Feed = connect({ ticket });
feed.watch("job:a", show);
const { topic, data } = await feed.finished("job:a");
output.value = `${topic} has ${data.rows} rows`;
