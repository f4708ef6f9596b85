/**
 * Writes the factors of blocks into a text of block weights. What the user has written stays, but for the lines that
 * only name blocks of one list and one factor for them: these are written anew, as few as possible.
 *
 * @typedef {import("./text.js").Known} Known
 * @typedef {import("./text.js").Block} Block
 */

import { factorsOf, linesOf, partsOf, readPart } from "./text.js";

/**
 * @typedef {"own" | "drawn" | "undrawn" | "blank"} Kind of a line: one that is written anew, one that says something
 *   else of whole blocks, one that says something of parts of them, one that says nothing
 * @typedef {{ text: string, kind: Kind }} Written a line
 */

/**
 * Returns the text in which blocks have these factors.
 *
 * @param {string} text @param {string} before what counts before it @param {Known} known @param {number[]} factors
 */
export function writeFactors(text, before, known, factors) {
  const lines = text.trim() ? linesOf(text).map((line) => ({ text: line, kind: kindOf(line, known) })) : [];
  const kept = lines.filter(({ kind }) => kind !== "own");
  const keptText = kept.map((line) => line.text);
  const base = factorsOf([before, ...keptText].join("\n"), known).factors;
  const at = placeIn(lines, kept);
  return [...keptText.slice(0, at), ...linesFor(known, base, factors), ...keptText.slice(at)].join("\n");
}

/** @param {string} line @param {Known} known @returns {Kind} */
function kindOf(line, known) {
  const parts = partsOf(line, known);
  if (!parts.length) return "blank";
  const said = parts.map((part) => readPart(part, known));
  const [first] = said;
  if (/^[^#;]*:[^#;]*$/.test(line) && first?.list && first.first === first.last) return "own";
  return said.some(Boolean) || !line.includes(":") ? "drawn" : "undrawn";
}

/**
 * Returns before which of the kept lines the others belong. They must come after all that says something of whole
 * blocks, and should not come after what says something of parts of blocks: that would no longer count.
 *
 * @param {Written[]} lines @param {Written[]} kept
 */
function placeIn(lines, kept) {
  const own = lines.findIndex(({ kind }) => kind === "own"); // all lines before it are kept
  const undrawn = kept.findIndex(({ kind }) => kind === "undrawn");
  const drawn = kept.findLastIndex(({ kind }) => kind === "drawn") + 1;
  const end = kept.findLastIndex(({ text }) => text.trim()) + 1;
  const first = [own, undrawn].find((at) => at >= 0);
  return first === undefined ? drawn || end : Math.max(drawn, first);
}

/** @param {Known} known @param {number[]} base without these lines @param {number[]} factors */
function linesFor({ blocks }, base, factors) {
  const lists = [...new Set(blocks.map(({ list }) => list))];
  return lists.flatMap((list) => {
    const places = [...blocks.keys()].filter((place) => blocks[place].list === list);
    const changed = grouped(list, blocks, places, factors, (place) => base[place]);
    if (places.some((place) => base[place] !== base[places[0]])) return changed; // others speak of this list, too
    const usual = mostCommon(places.map((place) => factors[place]));
    const whole = [`${list}: ${usual}`, ...grouped(list, blocks, places, factors, () => usual)];
    return numbersIn(whole, list) < numbersIn(changed, list) ? whole : changed;
  });
}

/** Counts the numbers of blocks, which make lines hard to read. @param {string[]} lines @param {string} list */
function numbersIn(lines, list) {
  const names = lines.map((line) => line.slice(list.length, line.indexOf(":")));
  return names.join(" ").match(/\d+/g)?.length ?? 0;
}

/** @param {number[]} factors */
function mostCommon(factors) {
  const count = (/** @type {number} */ factor) => factors.filter((each) => each === factor).length;
  return factors.reduce((most, factor) => (count(factor) > count(most) ? factor : most));
}

/**
 * Returns a line for each factor that blocks do not have anyway.
 *
 * @param {string} list @param {readonly Block[]} blocks @param {number[]} places @param {number[]} factors
 * @param {(place: number) => number} anyway
 */
function grouped(list, blocks, places, factors, anyway) {
  const changed = places.filter((place) => factors[place] !== anyway(place));
  return [...new Set(changed.map((place) => factors[place]))].map((factor) => {
    const own = changed.filter((place) => factors[place] === factor);
    const numbers = own.length === places.length ? "" : ` ${ranges(own.map((place) => blocks[place].number))}`;
    return `${list}${numbers}: ${factor}`;
  });
}

/** Writes numbers as people do: 0-6,9. @param {number[]} numbers in order */
function ranges(numbers) {
  /** @type {[number, number][]} */
  const runs = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(",");
}
