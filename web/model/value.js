/**
 * The value of the rows widget and its edits. An edit takes rows and returns new rows; a row that it does not
 * change stays the same object, by which the list on the page recognises it.
 *
 * @typedef {{ on: boolean, solo?: boolean, name: string, strength: number, strength_clip?: number,
 *   hash?: string, size?: number, noted?: string, note?: string, triggers?: string[], blocks?: string,
 *   low?: Low, only?: "high" | "low", link?: string }} Row unknown keys are kept
 * @typedef {{ name: string, strength?: number, hash?: string, size?: number, noted?: string }} Low the file of a pair
 *   that is for the low-noise model; see sides.js
 * @typedef {{ version: number, rows: Row[] }} Value unknown keys are kept
 * @typedef {{ hash?: string, size?: number }} Identity the hash and the size of a file
 */

import { sameName } from "./filenames.js";

export const MOST_ROWS = 500;
export const MOST_STRENGTH = 100; // and the same below zero
const DECIMALS = 1e9; // more than any pack writes, and fewer than a binary fraction gets wrong

/**
 * Reads what is stored, in any of its forms: an object, its JSON, a bare list, or what the page makes of a list.
 *
 * @param {unknown} stored
 * @returns {Value} without rows where `stored` makes no sense
 */
export function readValue(stored) {
  const found = unwrapped(stored);
  const { rows, version, ...others } = Array.isArray(found) ? { rows: found, version: 1 } : found;
  const list = Array.isArray(rows) ? rows : [];
  return {
    ...others,
    version: typeof version === "number" && Number.isInteger(version) && version > 1 ? version : 1,
    rows: list.filter(isObject).map(readRow),
  };
}

/** @param {unknown} stored @returns {unknown[] | Record<string, unknown>} */
function unwrapped(stored) {
  if (typeof stored === "string") return unwrapped(parsed(stored));
  if (!isObject(stored)) return Array.isArray(stored) ? stored : {};
  return "__value__" in stored ? unwrapped(stored.__value__) : stored;
}

/** @param {string} text @returns {unknown} */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "string" ? null : value;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether an input is one for the strength of a row; see links.js. @param {string} name */
export const isLinkName = (name) => /^strength_[1-9]\d{0,2}$/.test(name);

/**
 * The values that each optional key may have. A key with any other value counts as missing.
 *
 * @type {Record<string, (value: unknown) => boolean>}
 */
const KINDS = {
  strength_clip: (value) => toNumber(value) !== null,
  solo: (value) => value === true,
  hash: (value) => typeof value === "string",
  size: (value) => typeof value === "number" && Number.isInteger(value) && value >= 0,
  noted: (value) => typeof value === "string" && value !== "",
  note: (value) => typeof value === "string" && value !== "",
  triggers: (value) => Array.isArray(value) && value.every((word) => typeof word === "string"),
  blocks: (value) => typeof value === "string" && value !== "",
  low: (value) => isObject(value) && typeof value.name === "string" && value.name !== "",
  only: (value) => value === "high" || value === "low",
  link: (value) => typeof value === "string" && isLinkName(value),
};

/** @type {typeof KINDS} */
const KINDS_OF_LOW = { ...KINDS, strength: (value) => toNumber(value) !== null };

/** @param {Record<string, unknown>} stored @returns {Row} */
function readRow(stored) {
  /** @type {Row & Record<string, unknown>} */
  const row = {
    ...stored,
    on: stored.on !== false,
    name: typeof stored.name === "string" ? stored.name : "",
    strength: tidy(toNumber(stored.strength) ?? 1),
  };
  dropUnfit(row, KINDS);
  const apart = toNumber(row.strength_clip);
  if (apart !== null) row.strength_clip = tidy(apart);
  if (row.low) row.low = readLow(row.low);
  return row;
}

/** @param {Low} stored @returns {Low} */
function readLow(stored) {
  /** @type {Low & Record<string, unknown>} */
  const low = { ...stored };
  dropUnfit(low, KINDS_OF_LOW);
  const strength = toNumber(low.strength);
  if (strength !== null) low.strength = tidy(strength);
  return low;
}

/** @param {Record<string, unknown>} stored @param {typeof KINDS} kinds */
function dropUnfit(stored, kinds) {
  for (const [key, fits] of Object.entries(kinds)) if (key in stored && !fits(stored[key])) delete stored[key];
}

/** @param {unknown} value @returns {number | null} */
function toNumber(value) {
  const number = typeof value === "string" && value.trim() ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}

/**
 * Returns a strength as it is saved: in range, and without rounding errors of binary fractions.
 *
 * @param {number} strength
 */
export function tidy(strength) {
  const within = Math.min(MOST_STRENGTH, Math.max(-MOST_STRENGTH, strength));
  return Math.round(within * DECIMALS) / DECIMALS || 0; // never -0
}

/**
 * Returns the part of a value that a run gets. Notes are left out: they are for people, and a new note must not
 * make the host compute anything again.
 *
 * @param {Value} value
 */
export function forPrompt({ rows, ...others }) {
  return structuredClone({ ...others, rows: rows.map(({ note: _, ...row }) => row) });
}

/**
 * Reads a typed strength: "0.8", ".8", "0,8".
 *
 * @param {string} text @returns {number | null} null if it is not a number
 */
export function parseStrength(text) {
  const typed = text.trim().replace(",", ".").replace("−", "-");
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(typed) ? tidy(Number(typed)) : null;
}

/** Brings rows from outside into the form in which they are saved. @param {Row[]} rows */
export function tidyRows(rows) {
  return rows.map((row) => {
    const read = readRow(row);
    return JSON.stringify(read) === JSON.stringify(row) ? row : read;
  });
}

/** @param {string} name @param {Partial<Row>} [others] @returns {Row} */
export const newRow = (name, others = {}) => ({ on: true, name, strength: 1, ...others });

/** Adds as many rows at the end as there is room for. @param {Row[]} rows @param {Row[]} others */
export const add = (rows, ...others) =>
  [...rows, ...others.map(withoutLink)].slice(0, Math.max(MOST_ROWS, rows.length));

/** Leaves out the input of the strength, which is that of another row. @param {Row} row @returns {Row} */
export function withoutLink(row) {
  const { link, ...others } = row;
  return link === undefined ? row : others;
}

/** @param {Row[]} rows @param {number} index */
export const remove = (rows, index) => rows.filter((_, other) => other !== index);

/** @param {Row[]} rows @param {number} index */
export function duplicate(rows, index) {
  if (rows.length >= MOST_ROWS) return rows;
  return rows.toSpliced(index + 1, 0, structuredClone(withoutLink(rows[index])));
}

/** Moves a row to the place `to`, counted without it. @param {Row[]} rows @param {number} from @param {number} to */
export function move(rows, from, to) {
  const place = Math.min(rows.length - 1, Math.max(0, to));
  return place === from ? rows : rows.toSpliced(from, 1).toSpliced(place, 0, rows[from]);
}

/**
 * Sets some keys of a row. A key that is set to undefined is removed.
 *
 * @param {Row[]} rows @param {number} index @param {Partial<Row>} values
 */
export function set(rows, index, values) {
  /** @type {Row & Record<string, unknown>} */
  const row = { ...rows[index], ...values };
  for (const [key, value] of Object.entries(values)) if (value === undefined) delete row[key];
  return rows.with(index, row);
}

/** @param {Row[]} rows @param {number} index @param {boolean} on */
export const setOn = (rows, index, on) => set(rows, index, { on });

/** @param {Row[]} rows @param {boolean} on */
export const setAllOn = (rows, on) => rows.map((row) => (row.on === on ? row : { ...row, on }));

/** @param {Row[]} rows */
export const allOn = (rows) => rows.every(({ on }) => on);

/** @param {Row[]} rows @param {number} index */
export const toggleSolo = (rows, index) => set(rows, index, { solo: rows[index].solo ? undefined : true });

/** @param {Row[]} rows @param {number} index @param {"strength" | "strength_clip"} key @param {number} strength */
export const setStrength = (rows, index, key, strength) => set(rows, index, { [key]: tidy(strength) });

/**
 * Gives a row a strength of its own for the text encoders, or takes it away.
 *
 * @param {Row[]} rows @param {number} index
 */
export function toggleTextStrength(rows, index) {
  const { strength, strength_clip: apart } = rows[index];
  return set(rows, index, { strength_clip: apart === undefined ? strength : undefined });
}

/** @param {Row[]} rows @param {number} index @param {string} note */
export const setNote = (rows, index, note) => set(rows, index, { note: note.trim() || undefined });

/** @param {Row[]} rows @param {number} index @param {string} blocks lines of block weights; empty for none */
export function setBlocks(rows, index, blocks) {
  const text = blocks.trim() || undefined;
  return text === rows[index].blocks ? rows : set(rows, index, { blocks: text });
}

/**
 * Gives a row another file. What was known of the former file is removed, unless both are the same.
 *
 * @param {Row[]} rows @param {number} index @param {string} name
 * @param {Identity} [identity] of the new file, where it is known
 */
export function rename(rows, index, name, { hash, size } = {}) {
  const row = rows[index];
  const own = identityOf(row);
  const same = row.name === name || (hash !== undefined && hash === own.hash && size === own.size);
  const former = same ? {} : { triggers: undefined, hash: undefined, size: undefined, noted: undefined };
  return set(rows, index, { name, ...former, ...withName(name, { hash, size }) });
}

/**
 * Returns a file's hash and size as a row keeps them: with the name for which they were noted. They say nothing
 * of another name that a script may write into the row.
 *
 * @param {string} name @param {Identity} [identity]
 * @returns {Partial<Row>}
 */
export const withName = (name, { hash, size } = {}) => (hash === undefined ? {} : { hash, size, noted: name });

/**
 * Returns hash and size, as far as they were noted for the row's file. Rows of older versions do not say for which.
 *
 * @param {Pick<Row, "name" | "hash" | "size" | "noted">} row @returns {Identity}
 */
export function identityOf({ name, hash, size, noted = name }) {
  return hash && sameName(noted) === sameName(name) ? { hash, size } : {};
}

/**
 * Prepares rows for a longer list, in which those that are solo would silence all others.
 *
 * @param {Row[]} rows @returns {Row[]}
 */
export function withoutSolo(rows) {
  if (!rows.some(({ solo }) => solo)) return rows;
  return rows.map(({ solo, ...row }) => ({ ...row, on: row.on && solo === true }));
}

/**
 * Returns the rows that count: those that are on and have a file, and only the solo ones if any row is solo.
 *
 * @template {Pick<Row, "on" | "name" | "solo">} R
 * @param {R[]} rows
 */
export function activeRows(rows) {
  const solo = rows.some((row) => row.solo);
  return rows.filter((row) => row.on && row.name && (!solo || row.solo));
}

/**
 * Scales the strengths of the rows that count, so that their absolute values add up to 1. A strength for the text
 * encoders, or for low noise, keeps its ratio to the one for the model. Rows whose strengths are all 0 stay as they are.
 *
 * @param {Row[]} rows
 */
export function normalise(rows) {
  const active = new Set(activeRows(rows));
  const total = [...active].reduce((sum, { strength }) => sum + Math.abs(strength), 0);
  if (!total) return rows;
  return rows.map((row) => (active.has(row) ? scaled(row, 1 / total) : row));
}

/** @param {Row} row @param {number} factor @returns {Row} */
function scaled(row, factor) {
  const { strength, strength_clip: text, low } = row;
  return {
    ...row,
    strength: tidy(strength * factor),
    ...(text === undefined ? {} : { strength_clip: tidy(text * factor) }),
    ...(low?.strength === undefined ? {} : { low: { ...low, strength: tidy(low.strength * factor) } }),
  };
}

/**
 * Adds to rows what is known of their files.
 *
 * @param {Row[]} rows @param {(name: string) => Identity | undefined} known
 */
export function withIdentities(rows, known) {
  return rows.map((row) => {
    const low = row.low && identified(row.low, known);
    return identified(low === row.low ? row : { ...row, low }, known);
  });
}

/** @template {Low} T @param {T} file @param {(name: string) => Identity | undefined} known @returns {T} */
function identified(file, known) {
  const identity = file.name && !identityOf(file).hash ? known(file.name) : undefined;
  return identity ? { ...file, ...withName(file.name, identity) } : file;
}
