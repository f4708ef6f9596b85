/**
 * The value of the rows widget and its edits: rows in, new rows out. A row that an edit does not
 * touch stays the same object, by which the list on the page knows it again.
 *
 * @typedef {import("./registry.js").Row} Row
 * @typedef {{ version: number, rows: Row[] }} Value unknown keys are kept
 */

export const MOST_ROWS = 500;
export const MOST_STRENGTH = 100; // and the same below zero
const DECIMALS = 1e4;

/**
 * What is stored, in any of its forms: an object, its JSON, a bare list, or what the page makes of a list.
 *
 * @param {unknown} stored
 * @returns {Value} without rows, if it is nonsense
 */
export function readValue(stored) {
  const found = unwrapped(stored);
  const { rows, version, ...others } = Array.isArray(found) ? { rows: found } : (found ?? {});
  const list = Array.isArray(rows) ? rows : [];
  return {
    ...others,
    version: Number.isInteger(version) && version > 1 ? version : 1,
    rows: list.filter(isObject).map(readRow),
  };
}

function unwrapped(stored) {
  if (typeof stored === "string") return unwrapped(parsed(stored));
  if (!isObject(stored)) return Array.isArray(stored) ? stored : null;
  return "__value__" in stored ? unwrapped(stored.__value__) : stored;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "string" ? null : value;
  } catch {
    return null;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Which values a key may have; others are as if the key were not there. */
const KINDS = {
  strength_clip: (value) => toNumber(value) !== null,
  solo: (value) => value === true,
  hash: (value) => typeof value === "string",
  size: (value) => Number.isInteger(value) && value >= 0,
  noted: (value) => typeof value === "string" && value !== "",
  note: (value) => typeof value === "string" && value !== "",
  triggers: (value) => Array.isArray(value) && value.every((word) => typeof word === "string"),
};

/** @returns {Row} */
function readRow(stored) {
  const row = {
    ...stored,
    on: stored.on !== false,
    name: typeof stored.name === "string" ? stored.name : "",
    strength: tidy(toNumber(stored.strength) ?? 1),
  };
  for (const [key, fits] of Object.entries(KINDS)) if (key in row && !fits(row[key])) delete row[key];
  if ("strength_clip" in row) row.strength_clip = tidy(toNumber(row.strength_clip));
  return row;
}

function toNumber(value) {
  const number = typeof value === "string" && value.trim() ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}

/** A strength as it is saved: in range, and without the dust of binary fractions. */
export function tidy(strength) {
  const within = Math.min(MOST_STRENGTH, Math.max(-MOST_STRENGTH, strength));
  return Math.round(within * DECIMALS) / DECIMALS || 0; // never -0
}

/** What a run gets of a value: notes are for people, and must not make the host compute anything again. @param {Value} value */
export function forPrompt({ rows, ...others }) {
  return structuredClone({ ...others, rows: rows.map(({ note, ...row }) => row) });
}

/** What was typed as a strength: "0.8", ".8", "0,8". @returns {number | null} null if it is none */
export function parseStrength(text) {
  const typed = text.trim().replace(",", ".").replace("−", "-");
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(typed) ? tidy(Number(typed)) : null;
}

/** Rows from outside as they are saved; a row that is so already stays the same object. @param {Row[]} rows */
export function tidyRows(rows) {
  return rows.map((row) => {
    const read = readRow(row);
    return JSON.stringify(read) === JSON.stringify(row) ? row : read;
  });
}

/** @returns {Row} */
export const newRow = (name, others = {}) => ({ on: true, name, strength: 1, ...others });

/** Adds rows at the end, as many as there is room for. */
export const add = (rows, ...others) => [...rows, ...others].slice(0, Math.max(MOST_ROWS, rows.length));

export const remove = (rows, index) => rows.filter((_, other) => other !== index);

export function duplicate(rows, index) {
  if (rows.length >= MOST_ROWS) return rows;
  return rows.toSpliced(index + 1, 0, structuredClone(rows[index]));
}

/** Takes a row out, and puts it where `to` then is. */
export function move(rows, from, to) {
  const place = Math.min(rows.length - 1, Math.max(0, to));
  return place === from ? rows : rows.toSpliced(from, 1).toSpliced(place, 0, rows[from]);
}

/** With some keys of a row set; a key that is undefined goes. */
export function set(rows, index, values) {
  const row = { ...rows[index], ...values };
  for (const [key, value] of Object.entries(values)) if (value === undefined) delete row[key];
  return rows.with(index, row);
}

export const setOn = (rows, index, on) => set(rows, index, { on });

export const setAllOn = (rows, on) => rows.map((row) => (row.on === on ? row : { ...row, on }));

export const allOn = (rows) => rows.every(({ on }) => on);

export const toggleSolo = (rows, index) => set(rows, index, { solo: rows[index].solo ? undefined : true });

/** @param {"strength" | "strength_clip"} key */
export const setStrength = (rows, index, key, strength) => set(rows, index, { [key]: tidy(strength) });

export function toggleTextStrength(rows, index) {
  const { strength, strength_clip: apart } = rows[index];
  return set(rows, index, { strength_clip: apart === undefined ? strength : undefined });
}

export const setNote = (rows, index, note) => set(rows, index, { note: note.trim() || undefined });

/**
 * Another file for a row. What was said of the former file goes with it, unless both are the same.
 *
 * @param {{ hash?: string, size?: number }} [identity] of the new file, where it is known
 */
export function rename(rows, index, name, { hash, size } = {}) {
  const row = rows[index];
  const own = identityOf(row);
  const same = row.name === name || (hash !== undefined && hash === own.hash && size === own.size);
  const former = same ? {} : { triggers: undefined, hash: undefined, size: undefined, noted: undefined };
  return set(rows, index, { name, ...former, ...withName(name, { hash, size }) });
}

/**
 * A file's hash and size as a row keeps them: with the name for which they were noted, since they say nothing of
 * another that a script may write into the row.
 *
 * @param {string} name @param {{ hash?: string, size?: number }} [identity]
 */
export const withName = (name, { hash, size } = {}) => (hash === undefined ? {} : { hash, size, noted: name });

/** Hash and size, as far as they speak for the row's file. Rows of older versions do not say for which. @param {Row} row */
export function identityOf({ name, hash, size, noted = name }) {
  return hash && sameName(noted) === sameName(name) ? { hash, size } : {};
}

/** The same rows for a longer list, in which those that are solo would silence all others. */
export function withoutSolo(rows) {
  if (!rows.some(({ solo }) => solo)) return rows;
  return rows.map(({ solo, ...row }) => ({ ...row, on: row.on && solo === true }));
}

/** Which rows count: those that are on and have a file, and of these only the solo ones, if any row is solo. */
export function activeRows(rows) {
  const solo = rows.some((row) => row.solo);
  return rows.filter((row) => row.on && row.name && (!solo || row.solo));
}

/**
 * Scales the strengths of the rows that count, so that their absolute values add up to 1. Strengths
 * for text encoders keep their ratio to those for the model. All zero: nothing to scale.
 */
export function normalise(rows) {
  const active = new Set(activeRows(rows));
  const total = [...active].reduce((sum, { strength }) => sum + Math.abs(strength), 0);
  if (!total) return rows;
  return rows.map((row) => (active.has(row) ? scaled(row, 1 / total) : row));
}

function scaled(row, factor) {
  const text = row.strength_clip === undefined ? {} : { strength_clip: tidy(row.strength_clip * factor) };
  return { ...row, strength: tidy(row.strength * factor), ...text };
}

/** Adds to rows what is known of their files. @param {(name: string) => { hash: string, size: number } | undefined} known */
export function withIdentities(rows, known) {
  return rows.map((row) => {
    const identity = row.name && !identityOf(row).hash ? known(row.name) : undefined;
    return identity ? { ...row, ...withName(row.name, identity) } : row;
  });
}

/** "style/ink.safetensors" is folder "style/" and base "ink". */
export function splitName(name) {
  const cut = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
  const file = name.slice(cut);
  return { folder: name.slice(0, cut), base: file.replace(/(?<=.)\.[A-Za-z0-9]{1,12}$/, "") || file };
}

/** Names are the same if only separators, case, or the encoding of accents differ. */
export const sameName = (name) => name.replaceAll("\\", "/").normalize("NFC").toLowerCase();
