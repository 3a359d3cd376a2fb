// The requests of the API that concern students, and the two forms that send them.

import * as api from "../api.js";
import { FormDialog } from "../parts/form-dialog.js";
import { t } from "../strings.js";

const PATH = "/api/v1/students/";
export const FIELDS = ["name", "parent_phone", "phone", "school", "grade"];

/**
 * @typedef {{id: number, username: string, name: string, parent_phone: string, phone: string, school: string, grade: string,
 *   created_at: string, removed_at?: string, removed_by?: string | null, outcome?: "created" | "restored" | "existing"}} Student
 * @typedef {{when: string, what: string, by: string | null, fields_changed: string[], job_id: string | null,
 *   file_name: string | null}} Entry
 * @typedef {{[field: string]: string}} Values
 */

/** A phone number as people write it. @param {string} digits */
export function phoneOf(digits) {
  return digits.replace(/^(010)(\d{4})(\d{4})$/, "$1-$2-$3");
}

/** Reads a student. The office can also read removed students.
 *  @param {string} id @param {boolean} office @returns {Promise<Student | null>} */
export async function readStudent(id, office) {
  if (!/^\d{1,18}$/.test(id)) return null;
  return (await found(`${PATH}${id}/`)) ?? (office ? found(`${PATH}removed/${id}/`) : null);
}

/** @param {string} path @returns {Promise<Student | null>} */
async function found(path) {
  try {
    return await api.callJson(path);
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return null;
    throw error;
  }
}

/** @param {number} id @param {number} page @returns {Promise<{results: Entry[], next: string | null}>} */
export const readHistory = (id, page) => api.callJson(`${PATH}${id}/history/?page=${page}&page_size=30`);

/** @param {number} id @returns {Promise<{results: {lecture: number, lecture_title: string}[]}>} */
export const readLectures = (id) => api.callJson(`/api/v1/enrolments/?student=${id}&page_size=200`);

/** @param {number} id @param {Values} json @returns {Promise<Student>} */
export const change = (id, json) => named(api.callJson(`${PATH}${id}/`, { method: "PATCH", json }));

/** Removes a student. It is no error if the student has been removed already. @param {number} id */
export async function remove(id) {
  try {
    await api.call(`${PATH}${id}/`, { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof api.ApiError && error.status === 404)) throw error;
  }
}

/** @param {number} id @returns {Promise<Student>} */
export const restore = (id) => api.callJson(`${PATH}${id}/restore/`, { method: "POST" });

/** The form for a new student. `lectures` returns the lectures to choose from. @param {HTMLElement} parent
 *  @param {() => [value: string, text: string][]} lectures @param {(problem: unknown) => void} failed */
export function formToAdd(parent, lectures, failed) {
  const lecture = { name: "lecture", label: "students_lecture", options: () => /** @type {[string, string][]} */ ([["", t("students_no_lecture")], ...lectures()]) };
  return new FormDialog(parent, {
    title: "students_add", send: "students_add_send", fields: [...fields(), lecture], failed,
    work: ({ lecture: chosen, ...json }) => named(api.callJson(PATH, { json: { ...json, ...(chosen && { lecture: Number(chosen) }) } })),
  });
}

/** The form that changes a student. It sends only the changed fields, so that another person may change other fields at
 *  the same time.
 *  @param {HTMLElement} parent @param {() => Student} student who is changed @param {(problem: unknown) => void} failed */
export function formToChange(parent, student, failed) {
  return new FormDialog(parent, {
    title: "students_change_title", fields: fields(), failed,
    work: async (values) => {
      const before = shown(student());
      const json = Object.fromEntries(Object.entries(values).filter(([field, value]) => value !== before[field]));
      if (Object.keys(json).length === 0) return null;
      const undo = Object.fromEntries(Object.keys(json).map((field) => [field, before[field]]));
      return { student: await change(student().id, json), undo };
    },
  });
}

/** The values of the form for a student. @param {Student} student @returns {Values} */
export function shown(student) {
  const { name, parent_phone, phone, school, grade } = student;
  return { name, parent_phone: phoneOf(parent_phone), phone: phoneOf(phone), school, grade };
}

/** @returns {import("../parts/form-dialog.js").Field[]} */
function fields() {
  const phone = { type: "tel", inputmode: "tel", maxlength: "40", autocomplete: "off" };
  return [
    { name: "name", label: "students_name", attributes: { maxlength: "50", required: "", autocomplete: "off" } },
    { name: "parent_phone", label: "students_parent_phone", hint: "students_phone_hint", attributes: { ...phone, required: "" } },
    { name: "phone", label: "students_phone", hint: "students_optional", attributes: phone },
    { name: "school", label: "students_school", attributes: { maxlength: "50", autocomplete: "off" } },
    { name: "grade", label: "students_grade", attributes: { maxlength: "20", autocomplete: "off" } },
  ];
}

/** If the API refuses fields, throws an error with a code for each of them, for which there is a sentence in each
 *  language. @template T @param {Promise<T>} answer @returns {Promise<T>} */
async function named(answer) {
  try {
    return await answer;
  } catch (error) {
    const { status, fields: refused, message } = /** @type {api.ApiError} */ (error);
    const wrong = [...FIELDS, "lecture"].filter((name) => refused?.[name]).map((name) => [name, [`students_${name}`]]);
    throw wrong.length ? new api.ApiError(status, { code: `students_${wrong[0][0]}`, message, fields: Object.fromEntries(wrong) }) : error;
  }
}
