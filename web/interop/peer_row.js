/**
 * What readers of saved nodes share: a row from a name and strengths, as packs save them.
 *
 * Packs save what they like, so values are `any` until they are read.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {Record<string, any>} Fields values by their names
 * @typedef {{ fields: Fields, values: any[], properties: Record<string, any>, linked: Set<string> }} Saved
 *   `linked` are the names of the inputs that have a link
 * @typedef {"model" | "stack" | "lora" | "apart"} Kind what it gives: a changed MODEL, a LORA_STACK, our LORA, or what
 *   only nodes of its own pack can read
 * @typedef {"layers" | "alpha"} Special why a node means more than rows can say: some layers have a strength of their
 *   own, or blocks replace the alpha of the file
 * @typedef {{ kind: Kind, read: (saved: Saved) => Row[], widgets?: string[], modelOnly?: true, textOnly?: true,
 *   live?: true, tells?: string[], sums?: true, special?: (saved: Saved) => Special | undefined }} Peer
 *   `widgets` are the names of its values in the order in which they are saved; `tells` are the outputs with texts
 *   that also tell of the LoRAs that come in; one that `sums` takes several lists
 */

import { isObject, MOST_STRENGTH } from "../model/value.js";

/** @param {number} last */
export const count = (last) => Array.from({ length: last }, (_, index) => index + 1);

/**
 * Makes a row, or undefined where a node names no file. A row whose strength is not a valid number is switched off.
 *
 * @param {unknown} on @param {any} name @param {unknown} [model] @param {unknown} [clip] @returns {Row | undefined}
 */
export function row(on, name, model = 1, clip = undefined) {
  const file = typeof name === "object" && name ? name.content : name; // pysssss adds a picture
  if (typeof file !== "string" || !file || /^none$/i.test(file)) return undefined;
  const [strength, text] = [strengthOf(model), clip === null || clip === undefined ? null : strengthOf(clip)];
  const isOn = on === true && !Number.isNaN(strength) && !Number.isNaN(text);
  /** @type {Row} */
  const made = { on: isOn, name: file, strength: strength || (Number.isNaN(strength) ? 1 : 0) };
  if (text !== null && text !== strength && !Number.isNaN(text)) made.strength_clip = text;
  return made;
}

/** @param {unknown} value @returns {number} NaN if it is not a valid strength */
function strengthOf(value) {
  const strength = typeof value === "string" && value.trim() ? Number(value) : value;
  return typeof strength === "number" && Math.abs(strength) <= MOST_STRENGTH ? strength : Number.NaN;
}

/** @param {Row | undefined} made */
export const isThere = (made) => made !== undefined;

/** @param {number} last @param {(n: number) => Row | undefined} rowAt */
export const numbered = (last, rowAt) => count(last).map(rowAt).filter(isThere);

/** @param {Saved} saved @param {boolean} [on] */
export function single({ fields }, on = true) {
  const { lora_name: name, strength_model: model, strength_clip: clip } = fields;
  return numbered(1, () => row(on, name, model, clip));
}

/** Reads rgthree's rows, wherever they stand between its other values. @param {Pick<Saved, "values">} saved */
export function power({ values }) {
  const rows = values.filter((value) => isObject(value) && "lora" in value);
  return rows.map(({ on, lora, strength, strengthTwo }) => row(on, lora, strength, strengthTwo)).filter(isThere);
}
