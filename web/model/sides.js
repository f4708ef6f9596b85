/**
 * Rows for two models that take turns in one picture, one for high noise and one for low noise, as Wan 2.2 has them.
 * A row goes into both, unless it says `only`; of a pair, the low-noise model gets the file in `low`. Edits are as in
 * value.js.
 *
 * @typedef {import("./value.js").Row} Row
 * @typedef {import("./value.js").Low} Low
 * @typedef {import("./value.js").Identity} Identity
 * @typedef {import("./pairs.js").Side} Side
 */

import { otherHalf, sideOf } from "./pairs.js";
import { identityOf, MOST_ROWS, set, tidy, withName } from "./value.js";

/** The models that get the file which a row names first. @param {Row} row @returns {Side[]} */
export function sidesOf({ low, only }) {
  if (only) return [only];
  return low ? ["high"] : ["high", "low"];
}

/**
 * Returns a row as the low-noise model sees it, with the file and the strength that it has for it.
 *
 * @param {Row} row with a file for low noise @returns {Row}
 */
export function asLow(row) {
  const { low, link, strength_clip: apart, hash: _hash, size: _size, noted: _noted, ...others } = row;
  /** @type {Partial<Row>} */
  const shared = {}; // with a strength of its own
  if (low?.strength === undefined && link !== undefined) shared.link = link;
  if (low?.strength === undefined && apart !== undefined) shared.strength_clip = apart;
  return { ...others, ...low, ...shared, only: "low" };
}

/**
 * Sets some keys of the file for low noise, as `set` does.
 *
 * @param {Row[]} rows @param {number} index @param {Partial<Low>} values
 */
function setLow(rows, index, values) {
  const low = /** @type {Low & Record<string, unknown>} */ ({ ...rows[index].low, ...values });
  for (const [key, value] of Object.entries(low)) if (value === undefined) delete low[key];
  return set(rows, index, { low });
}

/**
 * Gives a row a file for low noise, or another one. A new one counts, whatever the row was for.
 *
 * @param {Row[]} rows @param {number} index @param {string} name @param {Identity} [identity]
 */
export function renameLow(rows, index, name, identity = {}) {
  const { low } = rows[index];
  const known = low?.name === name && identity.hash === undefined ? identityOf(low) : identity;
  return setLow(low ? rows : setOnly(rows, index), index, { name, ...identityKeys(known, name) });
}

/**
 * Puts a file for high noise before that of a row, which then is the one for low noise.
 *
 * @param {Row[]} rows @param {number} index @param {string} name @param {Identity} [identity]
 */
export function addHigh(rows, index, name, identity = {}) {
  const row = rows[index];
  const low = { name: row.name, ...withName(row.name, identityOf(row)) };
  return set(rows, index, { name, ...identityKeys(identity, name), low, only: undefined });
}

/** What a row keeps of a file, in place of what it knew of another. @param {Identity} identity @param {string} name */
const identityKeys = (identity, name) => ({
  hash: undefined,
  size: undefined,
  noted: undefined,
  ...withName(name, identity),
});

/** @param {Row[]} rows @param {number} index */
export const removeLow = (rows, index) => set(rows, index, { low: undefined });

/** @param {Row[]} rows @param {number} index @param {Side} [only] undefined for both models */
export const setOnly = (rows, index, only) => set(rows, index, { only });

/** @param {Row[]} rows @param {number} index @param {number} strength */
export const setLowStrength = (rows, index, strength) => setLow(rows, index, { strength: tidy(strength) });

/** Gives the file for low noise a strength of its own, or takes it away. @param {Row[]} rows @param {number} index */
export function toggleLowStrength(rows, index) {
  const { strength, low } = rows[index];
  return setLow(rows, index, { strength: low?.strength === undefined ? strength : undefined });
}

/** Exchanges the two files of a pair, and their strengths. @param {Row[]} rows @param {number} index */
export function swap(rows, index) {
  const row = rows[index];
  const { low } = row;
  if (!low) return rows;
  const apart = low.strength === undefined ? {} : { strength: row.strength };
  const values = { name: low.name, strength: low.strength ?? row.strength, ...identityKeys(identityOf(low), low.name) };
  const swapped = setLow(set(rows, index, values), index, {
    name: row.name,
    ...identityKeys(identityOf(row), row.name),
  });
  return setLow(swapped, index, apart);
}

/** Makes two rows of a pair, one for each model. What did not count is off. @param {Row[]} rows @param {number} index */
export function split(rows, index) {
  const { low, ...row } = rows[index];
  if (!low || rows.length >= MOST_ROWS) return rows;
  const { note: _, ...other } = structuredClone(asLow(rows[index]));
  return rows.toSpliced(
    index,
    1,
    { ...row, only: "high", on: row.on && row.only !== "low" },
    { ...other, only: "low", on: row.on && row.only !== "high" },
  );
}

/**
 * Returns the row that is the other half of one, as far as names tell it and nothing of them would be lost.
 *
 * @param {Row[]} rows @param {number} index @returns {number} -1 if there is none
 */
export function halfIn(rows, index) {
  const row = rows[index];
  if (row.low) return -1;
  const single = rows.filter((other) => !other.low && other.name && isLike(other, row));
  const name = otherHalf(row.name, [...new Set(single.map((each) => each.name))]);
  const found = single.filter((other) => other.name === name);
  return found.length === 1 ? rows.indexOf(found[0]) : -1;
}

/** Whether two rows could be one, but for their files and strengths. @param {Row} one @param {Row} other */
const isLike = (one, other) =>
  /** @type {const} */ (["on", "solo", "strength_clip", "blocks", "link"]).every((key) => one[key] === other[key]) &&
  (one.strength_clip === undefined || one.strength === other.strength) &&
  (one.triggers === undefined) === (other.triggers === undefined);

/**
 * Makes one row of two that are each other's halves. What is said of both, such as a note, is that of the first.
 *
 * @param {Row[]} rows @param {number} index of either
 */
export function join(rows, index) {
  const other = halfIn(rows, index);
  if (other < 0) return rows;
  const [high, low] = sideOf(rows[index].name) === "high" ? [index, other] : [other, index];
  const first = Math.min(index, other);
  const pair = joined(rows[first], rows[high], rows[low]);
  return rows.with(first, pair).toSpliced(Math.max(index, other), 1);
}

/** @param {Row} first @param {Row} high @param {Row} low @returns {Row} */
function joined(first, high, low) {
  const words = high.triggers && [...new Set([...high.triggers, ...(low.triggers ?? [])])];
  const apart = high.link || low.strength === high.strength ? {} : { strength: low.strength };
  const [pair] = set([first], 0, {
    name: high.name,
    strength: high.strength,
    strength_clip: high.strength_clip,
    ...identityKeys(identityOf(high), high.name),
    triggers: words,
    note: first.note ?? high.note ?? low.note,
    low: { name: low.name, ...apart, ...withName(low.name, identityOf(low)) },
    only: undefined,
  });
  return pair;
}
