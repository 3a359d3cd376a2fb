// The addresses of the page: which view each of them shows, and who may open it. `apps/page/urls.py` serves the same ones.

const FACULTY = ["owner", "staff", "teacher"];

const TOPIC = /^[a-z]{1,16}:[\w-]{1,64}$/;

/** The views, and the roles that may open them. */
export const VIEWS = { now: FACULTY, job: FACULTY, imports: FACULTY, videos: FACULTY };

/** @typedef {{view: keyof typeof VIEWS, topic: string}} Place  `topic` is what a job's own page shows, else "". */

/** What an address shows, or null if the page has no such address. @param {string} path @returns {Place | null} */
export function placeOf(path) {
  const [first, second, more] = path === "/" ? [] : path.slice(1).split("/");
  if (first === undefined) return { view: "now", topic: "" };
  if (more !== undefined) return null;
  if (first === "students" && second === "import") return { view: "imports", topic: "" };
  if (first === "videos" && second === undefined) return { view: "videos", topic: "" };
  if (first === "videos" && /^\d+$/.test(second)) return { view: "job", topic: `video:${second}` };
  if (first === "jobs" && second) return { view: "job", topic: TOPIC.test(second) ? second : `job:${second}` };
  return null;
}

/** The address of a job's own page. @param {string} topic */
export function addressOf(topic) {
  const [kind, id] = topic.split(":");
  return kind === "job" ? `/jobs/${id}` : kind === "video" ? `/videos/${id}` : `/jobs/${topic}`;
}
