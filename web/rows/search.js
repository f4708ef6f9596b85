/**
 * Searches thousands of file names while somebody types.
 *
 * @typedef {{ name: string, base: string, folder: string, text: string, start: number }} Entry
 *   `text` is the name folded for search, in which the base name begins at `start`; `folder` ends with "/"
 */

import { caseless, splitName } from "../model/filenames.js";

const ACCENTS = /\p{Mn}/gu;
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Removes accents and case, and uses one kind of separator. @param {string} text */
function fold(text) {
  return caseless(text.normalize("NFKD").replace(ACCENTS, "")).replaceAll("\\", "/").normalize("NFC");
}

/**
 * Makes what is searched, once for a list of names.
 *
 * @param {string[]} names @returns {Entry[]} in the order of their names
 */
export function makeIndex(names) {
  return names.map(entry).sort((a, b) => order.compare(a.name, b.name));
}

/** @param {string} name @returns {Entry} */
function entry(name) {
  const { folder, base } = splitName(name);
  const text = fold(name);
  return { name, base, folder: folder.replaceAll("\\", "/"), text, start: text.lastIndexOf("/") + 1 };
}

/**
 * Finds the entries that hold every word of the query anywhere in their path. The best come first: the base name
 * begins with it, a word of the base name does, it is inside of the base name, it is in the folder. Among equals,
 * what was used last comes first. Without words everything is found.
 *
 * @param {Entry[]} index
 * @param {string} query
 * @param {{ folder?: string, recent?: string[] }} [options] only of this folder and those in it
 */
export function search(index, query, { folder = "", recent = [] } = {}) {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const used = new Map(recent.map((name, place) => [name, place]));
  /** @type {Entry[][]} */
  const ranks = [[]]; // by distance, then those used before, then the order of the index
  for (const each of index) {
    if (!each.folder.startsWith(folder) || !words.every((word) => each.text.includes(word))) continue;
    const rank = words.reduce((sum, word) => sum + distance(each, word), 0);
    ranks[rank] ??= [];
    ranks[rank].push(each);
  }
  return ranks.flatMap((entries) => usedFirst(entries, used));
}

/** @param {Entry[]} entries @param {Map<string, number>} used name -> place */
function usedFirst(entries, used) {
  const before = entries.filter(({ name }) => used.has(name));
  if (!before.length) return entries;
  const placeOf = (/** @type {Entry} */ { name }) => used.get(name) ?? 0;
  before.sort((a, b) => placeOf(a) - placeOf(b));
  return [...before, ...entries.filter(({ name }) => !used.has(name))];
}

/** @param {Entry} entry @param {string} word @returns {number} 0 for the best */
function distance({ text, start }, word) {
  if (text.startsWith(word, start)) return 0;
  const base = text.slice(start);
  if (!base.includes(word)) return 3;
  return startsWord(base, word) ? 1 : 2;
}

/** @param {string} text @param {string} word */
function startsWord(text, word) {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
    if (at === 0 || /[^\p{L}\p{N}]/u.test(text[at - 1])) return true;
  return false;
}

/**
 * Lists the folders and counts what is in them and below. Each comes after the one it is in.
 *
 * @param {Entry[]} index
 * @returns {{ path: string, name: string, depth: number, count: number }[]} the first is everything
 */
export function folders(index) {
  const counts = new Map([["", 0]]);
  for (const { folder } of index) for (const path of pathsOf(folder)) counts.set(path, (counts.get(path) ?? 0) + 1);
  return [...counts].map(([path, count]) => described(path, count)).sort((a, b) => order.compare(a.path, b.path));
}

/** Lists the folders that a folder is in: "a/b/" is in "", "a/" and "a/b/". @param {string} folder */
function pathsOf(folder) {
  const parts = folder.split("/").slice(0, -1);
  return ["", ...parts.map((_, index) => `${parts.slice(0, index + 1).join("/")}/`)];
}

/** @param {string} path @param {number} count */
function described(path, count) {
  const parts = path.split("/").slice(0, -1);
  return { path, name: parts.at(-1) ?? "", depth: parts.length, count };
}

/** Returns two letters that stand for a file without a picture. @param {string} base */
export function initials(base) {
  const words = base.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words.slice(0, 2).map(first) : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toUpperCase();
}

/** @param {string} word */
const first = (word) => [...word][0];
