// The three ways to frames: a WebSocket, Server-Sent Events read with `fetch`, and the one poll. Each brings the same
// frames and takes the same places, so the feed can go from one to another without a gap.

const POLL_TIMEOUT_MS = 15_000;
const TICKET_LEFT_MS = 15_000; // of a ticket's minute, when the next poll takes a new one

/**
 * @typedef {{ticket: string, expires_in: number, websocket_url: string, events_url: string, snapshot_url: string}} Granted
 * @typedef {{code: number, retryAfterMs?: number, limit?: string}} End  How a link ended: a close code, or 1006 if
 *   the server did not say why.
 * @typedef {{granted: Granted, place: string, ticket: () => Promise<Granted>, unfinished: () => boolean,
 *   onFrame: (frame: any) => void, onEnd: (end: End) => void}} Task
 * @typedef {{send: ((frame: object) => void) | null, close: () => void}} Link  Without `send` it goes one way.
 */

/** What an HTTP answer means, as a close code. Our servers send no other status: another one comes from a proxy.
 *  @param {number} status */
function codeOf(status) {
  return { 401: 4100, 403: 4403, 429: 4101, 503: 4003 }[status] ?? 1006;
}

/** @param {Response} response @returns {Promise<End>} */
async function refusal(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  const { code, limit } = await response.json().catch(() => ({}));
  // A 403 or 503 from a proxy does not hold one of our codes.
  return { code: code ? codeOf(response.status) : 1006, limit, retryAfterMs: seconds > 0 ? seconds * 1000 : undefined };
}

/** @param {string} address @param {string} topics @param {string} place */
function addressOf(address, topics, place) {
  const url = new URL(address);
  url.searchParams.set("topics", topics);
  if (place) url.searchParams.set("since", place);
  return url;
}

/** @param {Granted} granted @returns {RequestInit} */
const bearer = ({ ticket }) => ({ headers: { Authorization: `Bearer ${ticket}` }, credentials: "omit", cache: "no-store" });

/** @param {Task} task @returns {Link} */
export function openSocket({ granted, place, onFrame, onEnd }) {
  const socket = new WebSocket(addressOf(granted.websocket_url, "*", place), ["realtime.v1", `ticket.${granted.ticket}`]);
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

/** @param {Task} task @returns {Link} */
export function openEvents({ granted, place, onFrame, onEnd }) {
  const abort = new AbortController();
  const read = async () => {
    const response = await fetch(addressOf(granted.events_url, "*", place), { ...bearer(granted), signal: abort.signal });
    if (!response.ok || !response.body) return refusal(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return { code: 1006 };
      const events = (text + value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data && !abort.signal.aborted) onFrame(JSON.parse(data.slice(6)));
      }
    }
  };
  read().catch(() => ({ code: 1006 })).then((end) => {
    if (!abort.signal.aborted) onEnd(end);
  });
  return { send: null, close: () => abort.abort() };
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
  let staleAt = Date.now() + granted.expires_in * 1000 - TICKET_LEFT_MS;
  const poll = async () => {
    for (;;) {
      if (Date.now() > staleAt) {
        granted = await ticket();
        staleAt = Date.now() + granted.expires_in * 1000 - TICKET_LEFT_MS;
      }
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(POLL_TIMEOUT_MS)]);
      const response = await fetch(addressOf(granted.snapshot_url, "*", place), { ...bearer(granted), signal });
      if (!response.ok) return refusal(response);
      const frame = await response.json();
      if (abort.signal.aborted) return { code: 1006 };
      if (frame.place !== place) changedAt = Date.now();
      place = frame.place;
      onFrame(frame);
      await new Promise((resolve) => setTimeout(resolve, rhythm(Date.now() - changedAt, unfinished())));
    }
  };
  poll().catch(() => ({ code: 1006 })).then((end) => {
    if (!abort.signal.aborted) onEnd(end);
  });
  return { send: null, close: () => abort.abort() };
}

/** The records of topics asked for by name, and the epoch's place, where the link itself cannot ask.
 *  @param {Granted} granted @param {string[]} topics @returns {Promise<{place: string, records: any[]}>} */
export async function askByName(granted, topics) {
  const url = addressOf(granted.snapshot_url, topics.join(","), "");
  const response = await fetch(url, { ...bearer(granted), signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}
