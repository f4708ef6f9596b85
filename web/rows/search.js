/**
 * Searching thousands of file names while somebody types.
 *
 * @typedef {{ name: string, base: string, folder: string, text: string, start: number }} Entry
 *   `text` is the name folded for search, in which the base name begins at `start`; `folder` ends with "/"
 */

import { splitName } from "../model/value.js";

const ACCENTS = /\p{Mn}/gu;
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Without accents and case, with one kind of separator. */
export function fold(text) {
  return text.normalize("NFKD").replace(ACCENTS, "").toLowerCase().replaceAll("\\", "/").normalize("NFC");
}

/** To be made once for a list of names. @param {string[]} names @returns {Entry[]} in the order of their names */
export function makeIndex(names) {
  return names.map(entry).sort((a, b) => order.compare(a.name, b.name));
}

function entry(name) {
  const { folder, base } = splitName(name);
  const text = fold(name);
  return { name, base, folder: folder.replaceAll("\\", "/"), text, start: text.lastIndexOf("/") + 1 };
}

/**
 * Those that hold every word of the query anywhere in their path, the best first: the base name
 * begins with it, a word of it does, it is inside, it is in the folder. What was used before is first
 * among equals. Without words everything fits.
 *
 * @param {Entry[]} index
 * @param {string} query
 * @param {{ folder?: string, recent?: string[] }} [options] only of this folder and those in it
 */
export function search(index, query, { folder = "", recent = [] } = {}) {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const used = new Map(recent.map((name, place) => [name, place]));
  const ranks = [[]]; // by distance, then those used before, then the order of the index
  for (const each of index) {
    if (!each.folder.startsWith(folder) || !words.every((word) => each.text.includes(word))) continue;
    const rank = words.reduce((sum, word) => sum + distance(each, word), 0);
    (ranks[rank] ??= []).push(each);
  }
  return ranks.flatMap((entries) => usedFirst(entries, used));
}

function usedFirst(entries, used) {
  const before = entries.filter(({ name }) => used.has(name));
  if (!before.length) return entries;
  before.sort((a, b) => used.get(a.name) - used.get(b.name));
  return [...before, ...entries.filter(({ name }) => !used.has(name))];
}

function distance({ text, start }, word) {
  if (text.startsWith(word, start)) return 0;
  const base = text.slice(start);
  if (!base.includes(word)) return 3;
  return startsWord(base, word) ? 1 : 2;
}

function startsWord(text, word) {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
    if (at === 0 || /[^\p{L}\p{N}]/u.test(text[at - 1])) return true;
  return false;
}

/**
 * The folders with what is in them and below, each after the one it is in.
 *
 * @param {Entry[]} index
 * @returns {{ path: string, name: string, depth: number, count: number }[]} the first is everything
 */
export function folders(index) {
  const counts = new Map([["", 0]]);
  for (const { folder } of index) for (const path of pathsOf(folder)) counts.set(path, (counts.get(path) ?? 0) + 1);
  return [...counts].map(([path, count]) => described(path, count)).sort((a, b) => order.compare(a.path, b.path));
}

/** "a/b/" lies in "", "a/" and "a/b/". */
function pathsOf(folder) {
  const parts = folder.split("/").slice(0, -1);
  return ["", ...parts.map((_, index) => `${parts.slice(0, index + 1).join("/")}/`)];
}

function described(path, count) {
  const parts = path.split("/").slice(0, -1);
  return { path, name: parts.at(-1) ?? "", depth: parts.length, count };
}

/** Two letters that stand for a file without a picture. */
export function initials(base) {
  const words = base.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words.slice(0, 2).map(first) : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toUpperCase();
}

const first = (word) => [...word][0];
