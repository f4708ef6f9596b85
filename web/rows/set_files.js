/**
 * Reads sets from files: one set, `{"version": 1, "rows": ROWS}`, as a workflow keeps it for LoRA Rows; all sets, as
 * the host's user data has them; or anything else that rows can be read from.
 */

import { rowsFromFiles } from "../interop/dropped.js";
import { say } from "../interop/edit.js";
import { isObject, tidyRows } from "../model/value.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

export const VERSION = 1;
const MOST_TEXT = 16_000_000; // characters of a file that is read as JSON
const SUFFIX = /\.[^.]*$/;

/**
 * Reads the sets of a file, by their names.
 *
 * @param {File} file
 * @returns {Promise<Map<string, unknown>>} empty if there are none; the user is told why
 */
export async function setsOfFile(file) {
  const json = await jsonOf(file);
  const { version, sets } = isObject(json) ? json : {};
  const name = printable(file.name);
  if (typeof version === "number" && version > VERSION) {
    say("warn", [t("{name} is of a newer version. Update LoRA Algebra to open it.", { name })]);
    return new Map();
  }
  if (isObject(sets)) return new Map(Object.entries(sets).filter(([, saved]) => Array.isArray(saved)));
  const rows = tidyRows(await rowsFromFiles([file]));
  if (!rows.length) say("info", [t("There are no LoRAs in {name}.", { name })]);
  return new Map(rows.length ? [[file.name.replace(SUFFIX, ""), rows]] : []);
}

/** @param {File} file @returns {Promise<unknown>} */
async function jsonOf(file) {
  try {
    return file.size <= MOST_TEXT ? JSON.parse(await file.text()) : undefined;
  } catch {
    return undefined;
  }
}
