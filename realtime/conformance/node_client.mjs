// Our JavaScript client as `python -m realtime.conformance` judges it, under Node 22 or later:
//
//   python -m realtime.conformance -- node realtime/conformance/node_client.mjs

import { Feed } from "../client/feed.js";

// What Node adds to JavaScript, without types: the type checker of this project knows browsers only.
const { process } = /** @type {any} */ (globalThis);
const { createInterface } = process.getBuiltinModule("node:readline");

/** @type {{[state: string]: string}} the protocol's words for the client's states */
const WORDS = { offline: "waiting", refused: "waiting" };

/** @type {import("../client/environment.js").Environment} Node has no tabs, and does not say when the network is gone. */
const environment = { online: () => true, storage: null, listen: () => () => {} };

/** Writes a line for the runner. @param {object} line */
const say = (line) => console.log(JSON.stringify(line));

/** Gets a ticket, or throws what the client needs to know about the refusal. @param {string} address */
async function getTicket(address) {
  const response = await fetch(address, { method: "POST" });
  if (response.ok) return response.json();
  const seconds = Number(response.headers.get("Retry-After"));
  const retryAfterMs = seconds > 0 ? seconds * 1000 : undefined;
  throw Object.assign(new Error("The ticket was refused."), { status: response.status, retryAfterMs });
}

/** @param {string} address */
function watch(address) {
  const feed = new Feed({ ticket: () => getTicket(address), share: false }, environment);
  feed.on("state", ({ state, code }) => say({ state: WORDS[state] ?? state, code }));
  feed.watch("*", (record) => say({ record }));
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (/** @type {string} */ line) => watch(JSON.parse(line).ticket_url));
lines.once("close", () => process.exit());
