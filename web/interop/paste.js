/** Reads rows from text on the clipboard: tags, nodes, rows of ours, or names of files. */

import { library } from "../library/library.js";
import { presets } from "../library/presets.js";
import { MOST_ROWS } from "../model/value.js";
import { tagOrder } from "../page/settings.js";
import { readRows } from "./text.js";

const MOST_TEXT = 16_000_000; // characters; large workflows have some millions

/** @param {unknown} text @returns {import("../model/value.js").Row[]} empty if there are none in it */
export function rowsFromText(text) {
  if (typeof text !== "string" || text.length > MOST_TEXT) return [];
  return readRows(text, tagOrder(), library.names ?? [], presets()).slice(0, MOST_ROWS);
}
