/** Copies texts, and says so. */

import { copyText } from "../page/texts_out.js";
import { t } from "../page/words.js";
import { say } from "./edit.js";

/** @typedef {import("../model/value.js").Row} Row */

/** Returns the text of rows that pasting reads. @param {Row[]} rows */
export const textOfRows = (rows) => `${JSON.stringify({ version: 1, rows }, null, 2)}\n`;

/** @param {Row[]} rows */
export const copyRows = (rows) => copy(textOfRows(rows), [t("Copied {count} rows.", { count: rows.length })]);

/** @param {string} text @param {string[]} said if it worked */
export async function copy(text, said) {
  if (await copyText(text)) say("info", said);
  else say("warn", [t("The browser does not allow copying:"), text]);
}
