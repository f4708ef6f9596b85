/**
 * `<lora:NAME:STRENGTH:STRENGTH>` in texts, read and written as lora_core/tags.py does it:
 * tests/data/tags.json holds both to the same.
 *
 * @typedef {{ name: string, model: number, clip: number, ignored: string[] }} Entry
 *   `ignored` are the parts that say nothing here, such as block weights
 * @typedef {"model" | "clip"} Order which of two numbers without a name comes first
 */

import { sameName, splitName } from "../model/value.js";

const TAG = /<\s*(?:lora|lyco)\s*:([^<>]*)(>?)/giu;
const QUOTED = /^\s*"([^"]*)"\s*(?=:|$)/u;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu;
const NAMED = /^(te|unet)\s*=\s*(.*)$/isu;
const UNSAYABLE = /[<>"\p{Cc}]/gu;
const SUFFIX = /\.safetensors$/iu;
const MOST_STRENGTH = 100;

/** A tag that cannot be read; `why` is "name", "quote", "strength" or "closed". */
export class TagError extends Error {
  /** @param {string} why @param {string} tag @param {string} [name] of the LoRA, as far as it is known */
  constructor(why, tag, name = "") {
    super(`${why}: ${tag}`);
    Object.assign(this, { why, tag, lora: name });
  }
}

/**
 * @param {string} text @param {Order} order
 * @returns {{ entries: Entry[], rest: string }} `rest` is the text without its tags
 * @throws {TagError}
 */
export function readTags(text, order) {
  const found = findTags(text, order);
  const bad = found.find((tag) => tag instanceof TagError);
  if (bad) throw bad;
  return { entries: found, rest: text.replace(TAG, "") };
}

/** Every tag of a text; the unreadable ones as the error they are. @returns {(Entry | TagError)[]} */
export function findTags(text, order) {
  return [...text.matchAll(TAG)].map(([tag, body, end]) => {
    try {
      if (!end) throw new TagError("closed", tag);
      return readTag(tag, body, order);
    } catch (error) {
      if (!(error instanceof TagError)) throw error;
      return error;
    }
  });
}

/** @returns {Entry} */
function readTag(tag, body, order) {
  const { name, parts } = divide(tag, body);
  const { placed, named, ignored } = understand(parts);
  const isA1111 = order === "clip" || Object.keys(named).length > 0; // where strengths have names, so is the rest
  const [first, second] = isA1111 ? ["te", "unet"] : ["unet", "te"];
  const strength = (text) => readStrength(text, () => new TagError("strength", tag, name));
  const strengths = { [first]: strength(named[first] || placed[0] || "1") };
  const text = named[second] || placed[1];
  strengths[second] = text ? strength(text) : strengths[first];
  return { name, model: strengths.unet, clip: strengths.te, ignored };
}

function divide(tag, body) {
  const [quoted, inside] = QUOTED.exec(body) ?? [];
  if (quoted === undefined && body.trim().startsWith('"')) throw new TagError("quote", tag);
  const [plain, ...parts] = (quoted === undefined ? body : body.slice(quoted.length)).split(":");
  const name = inside ?? plain.trim();
  if (!name) throw new TagError("name", tag);
  return { name, parts: parts.map((part) => part.trim()) };
}

/** Strengths by their place and by their name, as texts; and all the rest. */
function understand(parts) {
  const placed = [];
  const named = {};
  const ignored = [];
  for (const part of parts) {
    const [, key, value] = NAMED.exec(part) ?? [];
    const isWord = placed.length === 1 && part && !NUMBER.test(part); // the name of block weights, say
    if (key !== undefined) named[key.toLowerCase()] = value;
    else if (part.includes("=") || placed.length > 1) ignored.push(part);
    else if (isWord) ignored.push(part) && placed.push("");
    else placed.push(part);
  }
  return { placed, named, ignored: ignored.filter(Boolean) };
}

function readStrength(text, failure) {
  const strength = NUMBER.test(text) ? Number(text) : NaN;
  if (!(Math.abs(strength) <= MOST_STRENGTH)) throw failure();
  return strength;
}

/**
 * The tags of rows. A file is called without suffix, and without folder where that is enough to find it.
 *
 * @param {{ name: string, strength: number, strength_clip?: number }[]} rows
 * @param {string[]} listed the names of all files @param {Order} order
 */
export function writeTags(rows, listed, order) {
  const names = tagNames(
    rows.map(({ name }) => name),
    listed,
  );
  return rows.map((row) => writeTag(names.get(row.name), row, order)).join(" ");
}

function writeTag(name, { strength, strength_clip: text = strength }, order) {
  const strengths = strength === text ? [strength] : order === "clip" ? [text, strength] : [strength, text];
  return `<lora:${[name, ...strengths.map(decimal)].join(":")}>`;
}

function tagNames(names, listed) {
  const known = new Set(listed.map(sameName));
  const uses = new Map();
  for (const name of new Set([...listed, ...names.filter((name) => !known.has(sameName(name)))]))
    for (const way of new Set(ways(name).map(sameName))) uses.set(way, (uses.get(way) ?? 0) + 1);
  return new Map(names.map((name) => [name, sayable(shortest(name, uses))]));
}

const withoutSuffix = (name) => name.replace(SUFFIX, "");

/** How a file is found without its suffix: by its base name, and by its path. */
const ways = (name) => [withoutSuffix(name.slice(splitName(name).folder.length)), withoutSuffix(name)];

/** The first way that nothing else is found by, with no second suffix that would be dropped. */
const shortest = (name, uses) =>
  ways(name).find((way) => uses.get(sameName(way)) === 1 && withoutSuffix(way) === way) ?? name;

/** A name as no tag could end in it; what cannot be written is no part of any other name. */
function sayable(name) {
  const said = name.replaceAll("\\", "/").replace(UNSAYABLE, "\u{FFFD}");
  return said.includes(":") || said !== said.trim() ? `"${said}"` : said;
}

/** Without an exponent, which not every reader of tags knows. */
function decimal(strength) {
  const text = String(strength);
  return text.includes("e") ? strength.toFixed(20).replace(/\.?0+$/, "") : text;
}
