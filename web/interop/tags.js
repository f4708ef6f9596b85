/**
 * Reads and writes `<lora:NAME:STRENGTH:STRENGTH>` in texts, as lora_core/lists/tags.py does. tests/data/tags.json holds
 * both to the same.
 *
 * @typedef {{ name: string, model: number, clip: number, ignored: string[], blocks: string }} Entry
 *   `ignored` are the parts that mean nothing here, `blocks` are the lines of block weights
 * @typedef {"model" | "clip"} Order which of two numbers without a name comes first
 */

import { sameName, splitName } from "../model/filenames.js";
import { MOST_ROWS } from "../model/value.js";

const TAG = /<\s*(?:lora|lyco)\s*:([^<>]*)(>?)/giu;
const QUOTED = /^\s*"([^"]*)"\s*(?=:|$)/u;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu;
const NAMED = /^(te|unet)\s*=\s*(.*)$/isu;
const BLOCKS = /^(in|mid|out)\s*=\s*(.*)$/isu; // SD.Next's, of a UNet
const WEIGHTS = /^(?:lbw\s*=)?\s*(.*)$/isu;
const WEIGHT = /^\s*(?:[abx]|[+-]?(?:\d+\.?\d*|\.\d+))\s*$/iu;
const FEWEST_WEIGHTS = 12; // shorter lists are of no tool
const UNSAYABLE = /[<>"\p{Cc}]/gu;
const SUFFIX = /\.safetensors$/iu;
const MOST_STRENGTH = 100;
const MOST_TAGS = MOST_ROWS + 1; // one more than a list may have, so that nobody takes them for all

/** A tag that cannot be read. */
export class TagError extends Error {
  /**
   * @param {"name" | "quote" | "strength" | "closed"} why @param {string} tag
   * @param {string} [lora] its name, as far as it is known
   */
  constructor(why, tag, lora = "") {
    super(`${why}: ${tag}`);
    this.why = why;
    this.tag = tag;
    this.lora = lora;
  }
}

/**
 * Finds the tags of a text, as many as may be of use. A tag that cannot be read is returned as its error.
 *
 * @param {string} text @param {Order} order @param {string[]} [presets] the names of block weights
 * @returns {(Entry | TagError)[]}
 */
export function findTags(text, order, presets = []) {
  const found = [];
  for (const match of text.matchAll(TAG)) {
    found.push(understood(match, order, presets));
    if (found.length === MOST_TAGS) break;
  }
  return found;
}

/** @param {string[]} match of TAG @param {Order} order @param {string[]} presets @returns {Entry | TagError} */
function understood([tag, body, end], order, presets) {
  try {
    if (!end) throw new TagError("closed", tag);
    const { ignored, ...read } = readTag(tag, body, order);
    return { ...read, ...readBlocks(ignored, presets) };
  } catch (error) {
    if (!(error instanceof TagError)) throw error;
    return error;
  }
}

/** @param {string} tag @param {string} body @param {Order} order @throws {TagError} */
function readTag(tag, body, order) {
  const { name, parts } = divide(tag, body);
  const { placed, named, ignored } = understand(parts);
  const isA1111 = order === "clip" || Object.keys(named).length > 0; // where strengths have names, so is the rest
  const [first, second] = isA1111 ? ["te", "unet"] : ["unet", "te"];
  const strength = (/** @type {string} */ text) => readStrength(text, () => new TagError("strength", tag, name));
  const one = strength(named[first] || placed[0] || "1");
  const text = named[second] || placed[1];
  const other = text ? strength(text) : one;
  return { name, model: isA1111 ? other : one, clip: isA1111 ? one : other, ignored };
}

/** Splits the inside of a tag into the name and the parts behind it. @param {string} tag @param {string} body */
function divide(tag, body) {
  /** @type {string[]} */
  const [quoted, inside] = QUOTED.exec(body) ?? [];
  if (quoted === undefined && body.trim().startsWith('"')) throw new TagError("quote", tag);
  const [plain, ...parts] = (quoted === undefined ? body : body.slice(quoted.length)).split(":");
  const name = inside ?? plain.trim();
  if (!name) throw new TagError("name", tag);
  return { name, parts: parts.map((part) => part.trim()) };
}

/** Sorts the parts: strengths by their place, strengths by their name, and what is ignored. @param {string[]} parts */
function understand(parts) {
  /** @type {string[]} */
  const placed = [];
  /** @type {Record<string, string>} */
  const named = {};
  /** @type {string[]} */
  const ignored = [];
  for (const part of parts) {
    const [, key, value] = NAMED.exec(part) ?? [];
    const isWord = placed.length === 1 && part && !NUMBER.test(part); // the name of block weights, say
    if (key !== undefined) named[key.toLowerCase()] = value;
    else if (part.includes("=") || placed.length > 1) ignored.push(part);
    else {
      placed.push(isWord ? "" : part);
      if (isWord) ignored.push(part);
    }
  }
  return { placed, named, ignored: ignored.filter(Boolean) };
}

/**
 * Finds the block weights among the parts that are no strengths. A name that nobody knows stays ignored, since
 * everybody can make their own elsewhere. `lbwe=` needs a table that only Python has.
 *
 * @param {string[]} parts @param {string[]} presets
 */
function readBlocks(parts, presets) {
  const lines = parts.map((part) => lineOf(part, presets));
  return { ignored: parts.filter((_, index) => !lines[index]), blocks: lines.filter(Boolean).join("\n") };
}

/** @param {string} part @param {string[]} presets @returns {string} empty if it means nothing here */
function lineOf(part, presets) {
  const [, block, factor = ""] = BLOCKS.exec(part) ?? [];
  if (block !== undefined) return NUMBER.test(factor) ? `${block.toLowerCase()}: ${factor}` : "";
  const text = WEIGHTS.exec(part)?.[1] ?? "";
  const preset = text.toUpperCase().replace(/[ _]/g, "-").replace(/^SD-/, "");
  const list = text.split(";", 1)[0].split(",");
  const isList = list.length >= FEWEST_WEIGHTS && list.every((each) => WEIGHT.test(each));
  return isList || presets.includes(preset) ? text : "";
}

/** @param {string} text @param {() => TagError} failure */
function readStrength(text, failure) {
  const strength = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!(Math.abs(strength) <= MOST_STRENGTH)) throw failure();
  return strength;
}

/**
 * Writes the tags of rows. A file is named without suffix, and without folder where that is enough to find it.
 *
 * @param {{ name: string, strength: number, strength_clip?: number }[]} rows
 * @param {string[]} listed the names of all files @param {Order} order
 */
export function writeTags(rows, listed, order) {
  const names = tagNames(
    rows.map(({ name }) => name),
    listed,
  );
  return rows.map((row) => writeTag(names.get(row.name) ?? "", row, order)).join(" ");
}

/** @param {string} name @param {{ strength: number, strength_clip?: number }} row @param {Order} order */
function writeTag(name, { strength, strength_clip: text = strength }, order) {
  const strengths = strength === text ? [strength] : order === "clip" ? [text, strength] : [strength, text];
  return `<lora:${[name, ...strengths.map(decimal)].join(":")}>`;
}

/** @param {string[]} names @param {string[]} listed @returns {Map<string, string>} name -> as a tag says it */
function tagNames(names, listed) {
  const known = new Set(listed.map(sameName));
  const uses = new Map();
  for (const name of new Set([...listed, ...names.filter((name) => !known.has(sameName(name)))]))
    for (const way of new Set(ways(name).map(sameName))) uses.set(way, (uses.get(way) ?? 0) + 1);
  return new Map(names.map((name) => [name, sayable(shortest(name, uses))]));
}

/** @param {string} name */
const withoutSuffix = (name) => name.replace(SUFFIX, "");

/** The ways in which a file is found without its suffix: by its base name, and by its path. @param {string} name */
const ways = (name) => [withoutSuffix(name.slice(splitName(name).folder.length)), withoutSuffix(name)];

/**
 * Returns the first way by which nothing else is found, and which has no second suffix that would be dropped.
 *
 * @param {string} name @param {Map<string, number>} uses
 */
const shortest = (name, uses) =>
  ways(name).find((way) => uses.get(sameName(way)) === 1 && withoutSuffix(way) === way) ?? name;

/**
 * Writes a name so that it cannot end the tag. What cannot be written is replaced by a sign that no name has.
 *
 * @param {string} name
 */
function sayable(name) {
  const said = name.replaceAll("\\", "/").replace(UNSAYABLE, "\u{FFFD}");
  return said.includes(":") || said !== said.trim() ? `"${said}"` : said;
}

/** Writes a number without an exponent, which not every reader of tags knows. @param {number} strength */
function decimal(strength) {
  const text = String(strength);
  return text.includes("e") ? strength.toFixed(20).replace(/\.?0+$/, "") : text;
}
