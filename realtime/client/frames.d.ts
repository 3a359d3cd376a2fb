// The frames of realtime.v1 and their parts. Written by script/frame-types from docs/reference/asyncapi.yaml:
// change that document, and run the script again.

/**
 * A text (`epoch.offset.filter`) that says which records the client has. The client stores the place as it is, and
 * sends it when it reconnects.
 */
export type Place = string;

/** A whole number that the client chooses, written without a decimal point. */
export type RequestId = number;

export type Topic = string;

/** A topic, all of a kind (`job:*`), or all (`*`). */
export type TopicPattern = string;

export type TopicPatterns = TopicPattern[];

export type Percent = number;

export interface Step {
  index: number;
  total: number;
  name: string;
  percent: Percent;
}

export interface Progress {
  percent: Percent;
  step: null | Step;
  remaining_seconds: number | null;
}

/** The latest state of one topic. At most 64 KiB. */
export interface Record {
  /** Its number in the feed; 0 if it was restored from the database. */
  offset: number;
  topic: Topic;
  attempt: number;
  status: "PENDING" | "PROCESSING" | "READY" | "DONE" | "FAILED" | "CANCELLED";
  /** Chosen by the project. A result that is too large is replaced by `result_url`. */
  data: { [name: string]: unknown };
  error: null | {
    code: string;
    message: string;
  };
  /** Whether the job's worker has gone silent. If so, the job will be tried again. */
  stalled: boolean;
  /** Unix seconds. */
  published_at: number;
  /** `null` if terminal. */
  progress: null | Progress;
}

/** Sent for a topic that the client named and the server does not know. Request the job's detail once. */
export interface Unknown {
  topic: Topic;
  status: "UNKNOWN";
}

export type RecordsShown = (Unknown | Record)[];

export interface WelcomeFrame {
  type: "welcome";
  /** The id of the connection in the server's log. */
  connection: string;
  ping_seconds: number;
  /** How many seconds this connection may live without a new ticket. */
  expires_in: number;
}

export interface SnapshotFrame {
  type: "snapshot";
  id: null;
  /** Only in the last part. */
  place?: Place;
  /** Whether the place was usable. If so, the records are those that changed since. */
  recovered: boolean;
  /** Whether another part follows. A part has at most 256 KiB, or one record. */
  more: boolean;
  records: RecordsShown;
}

export interface RecordsFrame {
  type: "records";
  place: Place;
  records: Record[];
}

export interface PingFrame {
  type: "ping";
  place: Place;
}

export interface DelayedFrame {
  type: "delayed";
  /** How many seconds the feed could not be read. What the client shows is that old. */
  seconds: number;
}

export interface SubscribedFrame {
  type: "subscribed";
  id: RequestId;
  place: Place;
  records: RecordsShown;
}

export interface UnsubscribedFrame {
  type: "unsubscribed";
  id: RequestId;
  place: Place;
}

export interface RefreshedFrame {
  type: "refreshed";
  expires_in: number;
}

export interface ErrorFrame {
  type: "error";
  /** The id of the refused frame, if it had one. */
  id: null | RequestId;
  code: "bad_frame" | "forbidden_topic" | "too_many_topics" | "ticket_invalid" | "unavailable";
  /** One sentence, for people. */
  message: string;
}

export interface ClosingFrame {
  type: "closing";
  code: 1012 | 4001 | 4002 | 4003 | 4100 | 4101 | 4102 | 4400 | 4401 | 4403 | 4410;
  /** A text for people. For a refused handshake it says more than the table of codes. */
  reason: string;
  /** If present, the client should wait this long. */
  retry_after_ms?: number;
  /** Only with 4101. It says whose connections are too many. With `user`, the user can close some. */
  limit?: "user" | "tenant" | "process";
}

export interface PongFrame {
  type: "pong";
}

export interface SubscribeFrame {
  type: "subscribe";
  id: RequestId;
  topics: TopicPatterns;
}

export interface UnsubscribeFrame {
  type: "unsubscribe";
  id: RequestId;
  topics: TopicPatterns;
}

export interface RefreshFrame {
  type: "refresh";
  /** Has at most 4096 bytes. */
  ticket: string;
}

export type ServerFrame =
  | WelcomeFrame
  | SnapshotFrame
  | RecordsFrame
  | PingFrame
  | DelayedFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | RefreshedFrame
  | ErrorFrame
  | ClosingFrame;

export type ClientFrame =
  | PongFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | RefreshFrame;
