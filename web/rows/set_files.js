/**
 * Reads sets from files: one set, `{"version": 1, "rows": ROWS}`, as a workflow keeps it for LoRA Rows; all sets, as
 * the host's user data has them; or anything else that rows can be read from.
 */

import { rowsFromFiles } from "../interop/dropped.js";
import { say } from "../interop/edit.js";
import { isObject, tidyRows } from "../model/value.js";
import { LONGEST_NAME } from "../page/kept.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

export const VERSION = 1;
const MOST_TEXT = 16_000_000; // characters of a file that is read as JSON
const SUFFIX = /\.[^.]*$/;

/** @typedef {[name: string, rows: unknown]} Named */

/**
 * Reads the sets of a file.
 *
 * @param {File} file
 * @returns {Promise<Named[]>} some may have the same name; empty if there are none: the user is told why
 */
export async function setsOfFile(file) {
  const { found, isNewer } = await read(file);
  const name = printable(file.name);
  if (isNewer) say("warn", [t("{name} is of a newer version. Update LoRA Algebra to open it.", { name })]);
  else if (!found.length) say("info", [t("There are no LoRAs in {name}.", { name })]);
  return found.map(([own, rows]) => [shortName(own) || shortName(file.name), rows]);
}

/** @param {File} file @returns {Promise<{ found: Named[], isNewer?: boolean }>} newer: there is more than is found */
async function read(file) {
  const json = await jsonOf(file);
  const { version, sets, rows } = isObject(json) ? json : {};
  const isOurs = sets !== undefined || rows !== undefined;
  if (isOurs && typeof version === "number" && version > VERSION) return { found: [], isNewer: true };
  if (isObject(sets)) {
    const all = Object.entries(sets);
    const found = all.filter(([, saved]) => Array.isArray(saved));
    return { found, isNewer: found.length < all.length };
  }
  const own = tidyRows(await rowsFromFiles([file]));
  return { found: own.length ? [[file.name.replace(SUFFIX, ""), own]] : [] };
}

/** Returns a name as one can be typed; empty if nothing is left of it. @param {string} name */
const shortName = (name) => name.trim().slice(0, LONGEST_NAME).trim();

/** @param {File} file @returns {Promise<unknown>} */
async function jsonOf(file) {
  try {
    return file.size <= MOST_TEXT ? JSON.parse(await file.text()) : undefined;
  } catch {
    return undefined;
  }
}
