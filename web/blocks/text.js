/**
 * Block weights as a text, as far as whole blocks are concerned: which factor each block has. Lines about kinds or
 * parts of layers inside of blocks, patterns and lists of numbers are not drawn.
 *
 * lora_core/algebra/block_text.py and block_layers.py are the same in Python; tests/data/blocks.json holds both to
 * each other.
 *
 * @typedef {{ list: string, number: number }} Block
 * @typedef {Record<string, string>} Presets name -> text
 * @typedef {{ blocks: readonly Block[], presets: Presets, names: Map<string, Name> }} Known
 * @typedef {{ places: Set<number>, list?: string }} Name the places of its blocks, and the list if it is one
 * @typedef {{ places: number[] | null, first: number, last: number, list?: string }} Line
 *   `places` is null for all that no other line names; `list` is set if it names known blocks of one list by number
 */

import { BLANK, NUMBER } from "../curve/curve.js";

const LARGEST_FACTOR = 1000;

/** As Python ends lines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
const FACTOR = new RegExp(`^${NUMBER}(?:${BLANK}*\\.\\.${BLANK}*${NUMBER})?$`);
const NUMBERS = "\\d{1,4}(?:-\\d{0,4})?(?:,\\d{1,4}(?:-\\d{0,4})?)*";
const ONLY_NUMBERS = new RegExp(`^${NUMBERS}$`);
const TOGETHER = new RegExp(`^([a-z]+)(${NUMBERS})$`);
const WORD = /^[a-z][a-z0-9_]*$/;

const SPANS = ["early", "middle", "late", "evens", "odds"];

/** @type {Map<string, string>} what others call blocks */
const SHORT = new Map(Object.entries({ d: "double", s: "single" }));
/** @type {Map<string, string>} */
const WHOLE = new Map(Object.entries({ m00: "mid", base: "other" }));

/** @param {readonly Block[]} blocks in the order in which the model runs them @param {Presets} presets @returns {Known} */
export const known = (blocks, presets) => ({ blocks, presets, names: namesOf(blocks) });

/** @param {string} text */
export const linesOf = (text) => text.split(LINE_END);

/**
 * Returns the factor of each block, and the parts of the text that are not drawn.
 *
 * @param {string} text @param {Known} known
 */
export function factorsOf(text, known) {
  /** @type {Map<number, number>} */
  const named = new Map();
  /** @type {string[]} */
  const undrawn = [];
  let rest = 1;
  for (const part of linesOf(text).flatMap((line) => partsOf(line, known))) {
    const line = readPart(part, known);
    if (!line) undrawn.push(part);
    else if (!line.places) rest = line.first;
    else for (const [place, factor] of spread(line.places, line)) named.set(place, factor);
  }
  return { factors: known.blocks.map((_, place) => named.get(place) ?? rest), undrawn };
}

/** Returns what a line says, where the name of a preset stands for its own lines. @param {string} line @param {Known} known */
export function partsOf(line, { presets }) {
  const own = line.split("#", 1)[0].trim();
  const preset = own.includes(":") ? undefined : presetNamed(own, presets);
  const lines = preset === undefined ? [own] : linesOf(preset);
  return lines.flatMap((each) => each.split(";")).flatMap((part) => part.trim() || []);
}

/** @param {string} name @param {Presets} presets @returns {string | undefined} */
function presetNamed(name, presets) {
  const known = name.toUpperCase().replaceAll(/[ _]/g, "-").replace(/^SD-/, "");
  return Object.hasOwn(presets, known) ? presets[known] : undefined;
}

/** @param {string} part @param {Known} known @returns {Line | null} null if it is not drawn */
export function readPart(part, known) {
  const colon = part.lastIndexOf(":");
  const factor = FACTOR.exec(part.slice(colon + 1).trim());
  if (colon < 0 || !factor) return null;
  const first = Number(factor[1]);
  const last = Number(factor[2] ?? factor[1]);
  if (Math.max(Math.abs(first), Math.abs(last)) > LARGEST_FACTOR) return null;
  const selector = readSelector(part.slice(0, colon));
  if (!selector) return null;
  const { words, more, numbers } = selector;
  if (words.join(" ") === "other" && !more.length && !numbers.length)
    return first === last ? { places: null, first, last } : null;
  const found = named(selector, known);
  return found && { ...found, first, last };
}

/**
 * Reads words before and after the numbers of blocks.
 *
 * @typedef {{ words: string[], more: string[], numbers: [number, number][] }} Selector
 * @param {string} text @returns {Selector | null}
 */
function readSelector(text) {
  /** @type {Selector} */
  const selector = { words: [], more: [], numbers: [] };
  for (const token of text
    .replaceAll(/\s*,\s*/g, ",")
    .split(/\s+/)
    .filter(Boolean)) {
    const words = selector.numbers.length ? selector.more : selector.words;
    const word = WHOLE.get(token.toLowerCase()) ?? token.toLowerCase();
    const [, name, together] = TOGETHER.exec(word) ?? [];
    const numbers = together ?? (ONLY_NUMBERS.test(token) ? token : undefined);
    if (together !== undefined) words.push(singular(SHORT.get(name) ?? name));
    if (numbers !== undefined) selector.numbers.push(...numbers.split(",").map(range));
    else if (WORD.test(word)) words.push(singular(word));
    else return null;
  }
  return selector.numbers.some(([first, last]) => last < first) ? null : selector;
}

/** @param {string} text @returns {[number, number]} */
function range(text) {
  const [first, last] = text.split("-");
  return [Number(first), last === undefined ? Number(first) : last ? Number(last) : Infinity];
}

/** @param {string} word */
function singular(word) {
  const isPlural = word.length > 3 && word.endsWith("s") && !word.endsWith("ss");
  return isPlural && !SPANS.includes(word) ? word.slice(0, -1) : word;
}

/** Finds the blocks that have every property which is named. @param {Selector} selector @param {Known} known */
function named({ words, more, numbers }, { blocks, names }) {
  const found = [...joined(words, names), ...joined(more, names)];
  const lists = found.flatMap((name) => name?.list ?? []);
  if (!found.length || (numbers.length && lists.length !== 1)) return null;
  const isMeant = (/** @type {number} */ place) =>
    found.every((name) => name?.places.has(place)) &&
    (!numbers.length || numbers.some(([first, last]) => within(blocks[place].number, first, last)));
  const places = [...blocks.keys()].filter(isMeant);
  if (!places.length) return null;
  const ends = numbers.flatMap(([first, last]) => (last === Infinity ? first : [first, last]));
  const isWhole = found.length === 1 && ends.every((end) => places.some((place) => blocks[place].number === end));
  return { places, list: isWhole ? lists[0] : undefined };
}

/** @param {number} number @param {number} first @param {number} last */
const within = (number, first, last) => number >= first && number <= last;

/**
 * Joins words to names, always the longest one.
 *
 * @param {string[]} words @param {Map<string, Name>} names @returns {(Name | undefined)[]} undefined for what is no name
 */
function joined(words, names) {
  for (let length = words.length; length > 0; length -= 1) {
    const name = names.get(words.slice(0, length).join(" "));
    if (name) return [name, ...joined(words.slice(length), names)];
  }
  return words.length ? [undefined] : [];
}

/** Returns the factors of a line, which go evenly from the first block to the last. @param {number[]} places @param {Line} line */
function spread(places, { first, last }) {
  const step = (last - first) / Math.max(1, places.length - 1);
  return places.map((place, at) => /** @type {const} */ ([place, last - step * (places.length - 1 - at)]));
}

/** @param {readonly Block[]} blocks @returns {Map<string, Name>} */
function namesOf(blocks) {
  const lists = [...new Set(blocks.map(({ list }) => list))];
  /** @type {Map<string, Name>} */
  const names = new Map(spans(blocks));
  const named = lists.map((list) => ({ list, places: placesOf(blocks, (block) => block.list === list) }));
  const others = named.flatMap((name) =>
    [`${name.list} block`, `${name.list} layer`, name.list.replaceAll(" ", "_")].map((other) => ({ other, name })),
  );
  for (const { other, name } of others.reverse()) names.set(other, name); // the first of them counts
  for (const name of named) names.set(name.list, name);
  return names;
}

/** @param {readonly Block[]} blocks @returns {[string, Name][]} */
function spans(blocks) {
  const third = (/** @type {number} */ place) => Math.floor((6 * place + 3) / (2 * blocks.length));
  const thirds = [0, 1, 2].map((each) => placesOf(blocks, (_, place) => third(place) === each));
  const halves = [0, 1].map((half) => placesOf(blocks, ({ number }) => number % 2 === half));
  const all = [...thirds, ...halves].map((places, at) => /** @type {[string, Name]} */ ([SPANS[at], { places }]));
  return [...all, ["mid", { places: thirds[1] }]];
}

/** @param {readonly Block[]} blocks @param {(block: Block, place: number) => boolean} isMeant */
const placesOf = (blocks, isMeant) => new Set([...blocks.keys()].filter((place) => isMeant(blocks[place], place)));
