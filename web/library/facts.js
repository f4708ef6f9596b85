/**
 * What is in a row's file, as far as the host has told it.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("./library.js").Reply} Reply
 */

import { refreshAll } from "../model/registry.js";
import { identityOf } from "../model/value.js";
import { library } from "./library.js";

/** Replies that somebody waits for already. @type {WeakSet<Promise<unknown>>} */
const awaited = new WeakSet();

/** Returns by what a row's file is found. Its content only matters where its name is not listed. @param {Row} row */
const identity = (row) => (library.listed(row.name) === undefined ? identityOf(row) : {});

/**
 * Returns what the host has said, with the hash of the content if that was asked for.
 *
 * @param {Row} row @returns {Reply | null | undefined}
 */
export function knownFacts(row) {
  const whole = library.answer(row.name, { ...identity(row), content: true });
  const part = library.answer(row.name, identity(row));
  return whole ?? (part === undefined ? whole : part);
}

/** Does the same, and asks for what is not known. The rows are drawn again when it comes. @param {Row} row */
export function factsSoon(row) {
  const known = knownFacts(row);
  if (known === undefined && row.name) drawWhenThere(library.ask(row.name, identity(row)));
  return known;
}

/** @param {Promise<unknown>} answer */
function drawWhenThere(answer) {
  if (awaited.has(answer)) return;
  awaited.add(answer);
  answer.then(refreshAll);
}

/**
 * Asks for everything, the hash too, which takes seconds the first time.
 *
 * @param {Row} row @returns {Promise<Reply | null>}
 */
export const wholeFacts = (row) => library.ask(row.name, { ...identity(row), content: true });
