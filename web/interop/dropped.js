/** Finds rows in files that are dropped: pictures that carry a workflow, a prompt or tags, and texts. */

import { rowsFromText } from "./paste.js";
import { textsOfPicture } from "./picture_texts.js";

const MOST_BYTES = 100_000_000; // what is behind is not read
const MOST_FILES = 20;
const ORDER = ["workflow", "prompt", "parameters"];

/** @param {File[]} files @returns {Promise<import("../model/value.js").Row[]>} empty if there are none in them */
export async function rowsFromFiles(files) {
  const found = await Promise.all(files.slice(0, MOST_FILES).map(rowsFromFile));
  return found.flat();
}

/** @param {File} file */
async function rowsFromFile(file) {
  const bytes = new Uint8Array(await file.slice(0, MOST_BYTES).arrayBuffer());
  const texts = await textsOfPicture(bytes);
  if (!texts) return rowsFromText(new TextDecoder().decode(bytes));
  for (const name of ORDER) {
    const rows = rowsFromText(texts.get(name));
    if (rows.length) return rows;
  }
  return [];
}
