/**
 * What is in a row's file, as far as the host has told it.
 *
 * @typedef {import("../model/registry.js").Row} Row
 * @typedef {{ word: string, count: number | null, source: string }} Trigger
 * @typedef {{ size: number, modified: number, hash: string | null, base: string | null, families: string[],
 *   ranks: [number, number] | null, trainer: string | null, dialects: string[], model_layers: number,
 *   clip_layers: number, triggers: Trigger[], stated_triggers: string[], title: string | null,
 *   author: string | null, description: string | null, notes: string | null,
 *   recommended: { strength: number | null, least: number | null, most: number | null } | null,
 *   metadata: Record<string, string> }} Facts
 * @typedef {{ asked: string, name: string | null, how: string | null, close: string[],
 *   facts: Facts | null, error: string | null, warnings?: import("../runs/runs.js").Warning[] }} Reply
 */

import { refreshAll } from "../model/registry.js";
import { identityOf } from "../model/value.js";
import { library } from "./library.js";

/** Answers that somebody waits for already. @type {WeakSet<Promise<unknown>>} */
const awaited = new WeakSet();

/** By what a row's file is found: its content only matters where its name is not listed. */
const identity = (row) => (library.listed(row.name) === undefined ? identityOf(row) : {});

/** What the host has said, with the hash of the content if that was asked for. @param {Row} row @returns {Reply | null | undefined} */
export function knownFacts(row) {
  const whole = library.answer(row.name, { ...identity(row), content: true });
  const part = library.answer(row.name, identity(row));
  return whole ?? (part === undefined ? whole : part);
}

/** The same; what is not known is asked for, and the rows are drawn again when it has come. @param {Row} row */
export function factsSoon(row) {
  const known = knownFacts(row);
  if (known === undefined && row.name) drawWhenThere(library.ask(row.name, identity(row)));
  return known;
}

function drawWhenThere(answer) {
  if (awaited.has(answer)) return;
  awaited.add(answer);
  answer.then(refreshAll);
}

/** Everything, the hash too, which takes seconds the first time. @param {Row} row @returns {Promise<Reply | null>} */
export const wholeFacts = (row) => library.ask(row.name, { ...identity(row), content: true });
