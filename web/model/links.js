/**
 * Strengths that come to rows by links: such a row names an input of its node in `link`. Edits are as in value.js.
 *
 * @typedef {import("./value.js").Row} Row
 */

import { set } from "./value.js";

const PREFIX = "strength_";

/** Lets the strength of a row come by an input with the smallest free number. @param {Row[]} rows @param {number} index */
export function giveLink(rows, index) {
  const taken = new Set(rows.map(({ link }) => link));
  const number = [...Array(rows.length + 1).keys()].find((each) => !taken.has(PREFIX + (each + 1))) ?? 0;
  return set(rows, index, { link: `${PREFIX}${number + 1}` });
}

/** @param {Row[]} rows @param {number} index */
export const takeLink = (rows, index) => set(rows, index, { link: undefined });
