// The addresses of the page: which view each of them shows, and who may open it. `apps/page/urls.py` serves the same ones.

const FACULTY = ["owner", "staff", "teacher"];
const OFFICE = ["owner", "staff"];
const OUTSIDERS = ["student", "parent"];

const TOPIC = /^[a-z]{1,16}:[\w-]{1,64}$/;

/** The views, and the roles that may open them. @type {{[view: string]: string[]}} */
export const VIEWS = {
  now: FACULTY, job: FACULTY, imports: FACULTY, lectures: FACULTY, messages: FACULTY, my: OUTSIDERS, operations: ["owner"],
  people: OFFICE, students: FACULTY, videos: FACULTY,
};

/** The views that are loaded when they are opened. Their addresses are `/<view>` and `/<view>/<id>`.
 *  @type {{[view: string]: () => Promise<import("./screens.js").ViewModule>}} */
export const LAZY = {
  lectures: () => import("../lectures/lectures.js"),
  messages: () => import("../messages/messages.js"),
  my: () => import("../my/my.js"),
  operations: () => import("../operations/operations.js"),
  people: () => import("../people/people.js"),
  students: () => import("../students/students.js"),
};

/** @typedef {{view: string, topic: string, id: string}} Place
 *  `topic` is that of the job whose own page is shown, or "". `id` follows the name of a view that is loaded when it is
 *  opened, or is "". */

/** What an address shows, or null if the page has no such address. @param {string} path @returns {Place | null} */
export function placeOf(path) {
  const [first, second, more] = path === "/" ? [] : path.slice(1).split("/");
  if (first === undefined) return { view: "now", topic: "", id: "" };
  if (more !== undefined) return null;
  if (first === "students" && second === "import") return { view: "imports", topic: "", id: "" };
  if (first === "videos" && second === undefined) return { view: "videos", topic: "", id: "" };
  if (first === "videos" && /^\d+$/.test(second)) return { view: "job", topic: `video:${second}`, id: "" };
  if (first === "jobs" && second) return { view: "job", topic: TOPIC.test(second) ? second : `job:${second}`, id: "" };
  if (Object.hasOwn(LAZY, first) && second !== "") return { view: first, topic: "", id: second ?? "" };
  return null;
}

/** The address of the view that somebody sees first. @param {string} role */
export function homeOf(role) {
  return OUTSIDERS.includes(role) ? "/my" : "/";
}

/** The address of a job's own page. @param {string} topic */
export function addressOf(topic) {
  const [kind, id] = topic.split(":");
  return kind === "job" ? `/jobs/${id}` : kind === "video" ? `/videos/${id}` : `/jobs/${topic}`;
}
