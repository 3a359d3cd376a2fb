// The three kinds of link to the server: a WebSocket, Server-Sent Events read with `fetch`, and one poll for all topics.
// Each brings the same frames and accepts the same places, so the client can change between them without a gap.

const LOST = { code: 1006 };
const POLL_TIMEOUT_MS = 15_000;
const TICKET_LEFT_MS = 15_000; // a poll gets a new ticket when the old one is valid for less than this

/**
 * @typedef {{ticket: string, expires_in: number, websocket_url: string, events_url: string, snapshot_url: string,
 *   share?: string}} Granted  The answer to a request for a ticket. Tabs with the same `share` may share a connection.
 * @typedef {{code: number, retryAfterMs?: number, limit?: string}} End  How a link ended: a close code, or 1006 if
 *   the server did not say why.
 * @typedef {{granted: Granted, place: string, ticket: () => Promise<Granted>, unfinished: () => boolean,
 *   onFrame: (frame: import("./frames.js").ServerFrame) => void, onEnd: (end: End) => void}} Task
 * @typedef {{send: ((frame: import("./frames.js").ClientFrame) => void) | null, close: () => void}} Link
 *   `send` is null if only the server sends.
 */

/** What an HTTP answer means, as a close code. Our servers send no other status: another one comes from a proxy.
 *  @param {number} [status] */
export function codeOf(status) {
  return { 400: 4400, 401: 4100, 403: 4403, 429: 4101, 503: 4003 }[status ?? 0] ?? 1006;
}

/** @param {Response} response @returns {Promise<End>} */
async function refusal(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  const { code, limit } = await response.json().catch(() => ({}));
  // A 403 or 503 from a proxy does not hold one of our codes.
  return { code: code ? codeOf(response.status) : 1006, limit, retryAfterMs: seconds * 1000 || undefined };
}

/** An address with a query. Without `topics` the server sends all that the ticket allows, and with an empty `since` all
 *  that a new client is shown. @param {string} address @param {{topics: string} | {since: string}} query */
function addressOf(address, query) {
  return `${address}?${new URLSearchParams(query)}`;
}

/** Fetches a snapshot with a time limit: of all topics, or of these. @param {Granted} granted
 *  @param {{topics: string} | {since: string}} query @param {AbortSignal[]} signals */
export async function fetchSnapshot(granted, query, ...signals) {
  const options = { ...bearer(granted), signal: AbortSignal.any([...signals, AbortSignal.timeout(POLL_TIMEOUT_MS)]) };
  const response = await fetch(addressOf(granted.snapshot_url, query), options);
  return response.ok ? { frame: await response.json() } : { end: await refusal(response) };
}

/** @param {Granted} granted @returns {RequestInit} */
const bearer = ({ ticket }) => ({ headers: { Authorization: `Bearer ${ticket}` }, credentials: "omit", cache: "no-store" });

/** @param {Task} task @returns {Link} */
export function openSocket({ granted, place, onFrame, onEnd }) {
  let socket;
  try {
    socket = new WebSocket(addressOf(granted.websocket_url, { since: place }), ["realtime.v1", `ticket.${granted.ticket}`]);
  } catch (error) {
    return receiving(() => Promise.reject(error), new AbortController(), onEnd); // this browser forbids WebSockets
  }
  socket.onmessage = (event) => onFrame(JSON.parse(event.data));
  socket.onclose = ({ code }) => onEnd({ code });
  return {
    send: (frame) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
    },
    close: () => {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

/** A link on which only the server sends, until `read` ends.
 *  @param {() => Promise<End>} read @param {AbortController} abort @param {(end: End) => void} onEnd @returns {Link} */
function receiving(read, abort, onEnd) {
  read().catch(() => LOST).then((end) => abort.signal.aborted || onEnd(end));
  return { send: null, close: () => abort.abort() };
}

/** @param {Task} task @returns {Link} */
export function openEvents({ granted, place, onFrame, onEnd }) {
  const abort = new AbortController();
  const read = async () => {
    const response = await fetch(addressOf(granted.events_url, { since: place }), { ...bearer(granted), signal: abort.signal });
    if (!response.ok || !response.body) return refusal(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return LOST;
      const events = (text + value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data && !abort.signal.aborted) onFrame(JSON.parse(data.slice(6)));
      }
    }
  };
  return receiving(read, abort, onEnd);
}

/** How long until the next poll: often while something moves. @param {number} quietMs @param {boolean} unfinished */
export function rhythm(quietMs, unfinished) {
  if (!unfinished || quietMs >= 60_000) return 5000;
  return quietMs >= 10_000 ? 2000 : 1000;
}

/** @param {Task} task @returns {Link} */
export function openPolls({ granted, place, ticket, unfinished, onFrame, onEnd }) {
  const abort = new AbortController();
  let changedAt = Date.now();
  let issuedAt = Date.now();
  const poll = async () => {
    while (!abort.signal.aborted) {
      if (Date.now() - issuedAt > granted.expires_in * 1000 - TICKET_LEFT_MS) {
        granted = await ticket();
        issuedAt = Date.now();
      }
      const { frame, end } = await fetchSnapshot(granted, { since: place }, abort.signal);
      if (end || abort.signal.aborted) return end ?? LOST;
      if (frame.place !== place) changedAt = Date.now();
      place = frame.place;
      onFrame(frame);
      await new Promise((resolve) => setTimeout(resolve, rhythm(Date.now() - changedAt, unfinished())));
    }
    return LOST;
  };
  return receiving(poll, abort, onEnd);
}
