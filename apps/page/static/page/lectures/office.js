// Who may change lectures, lessons and enrolments. The server decides; the page shows only what the server would allow.

/** @param {import("../frame/screens.js").Context} context */
export function isOffice({ claims }) {
  return ["owner", "staff"].includes(claims()?.role ?? "");
}
