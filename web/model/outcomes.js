/**
 * What a run has made of files, as numbers. Nothing here knows the page.
 *
 * @typedef {import("./value.js").Row} Row
 * @typedef {{ part: "model" | "clip", strength: number, applied: number, found: number, connected: boolean,
 *   live: number, through: number, unused: number }} Part
 * @typedef {{ code: string, text: string, sentence?: string, fields?: Record<string, string | number> }} Warning
 *   older runs say only `text`; `sentence` and `fields` are what it is made of
 * @typedef {{ name: string, side?: "low", state: "applied" | "partial", applied: number, found: number, parts: Part[],
 *   unknown: number, first_unknown: string[], warnings?: Warning[],
 *   base: string | null, model: string | null, report?: string }} Outcome of one file, in the low-noise model if
 *   `side` says so
 * @typedef {"applied" | "partial" | "refused" | "stale" | "none"} State
 * @typedef {{ word: string, count: number | null }} Word a trigger word, and in how many captions it is
 * @typedef {{ strength: number | null, least: number | null, most: number | null }} Recommended
 */

import { sameName } from "./filenames.js";
import { activeRows } from "./value.js";

const STATES = ["none", "applied", "stale", "partial", "refused"]; // the worst one last

/**
 * Adds up the layers and warnings of files. Each file counts once for each model, though a node that runs over a list
 * reports it in every run.
 *
 * @param {Pick<Outcome, "name" | "side" | "applied" | "found" | "warnings">[]} loras
 */
export function countsOf(loras) {
  const files = [...new Map(loras.map((lora) => [`${lora.side ?? ""} ${lora.name}`, lora])).values()];
  /** @param {(lora: typeof loras[number]) => number} count */
  const sum = (count) => files.reduce((total, lora) => total + count(lora), 0);
  return {
    loras: new Set(files.map(({ name }) => name)).size,
    applied: sum(({ applied }) => applied),
    found: sum(({ found }) => found),
    warnings: sum(({ warnings = [] }) => warnings.length),
  };
}

/**
 * Counts the files in a report of which only the text is there. A file begins with "NAME (FACTS)".
 *
 * @param {string} text
 */
export const titlesIn = (text) => text.split("\n").filter((line) => /^\S.*\)$/.test(line)).length;

/**
 * Finds the outcomes of a file by any of its names.
 *
 * @template {{ name: string }} T
 * @param {T[]} loras @param {string[]} names
 */
export function outcomesNamed(loras, names) {
  const meant = names.map(sameName);
  return loras.filter(({ name }) => meant.includes(sameName(name)));
}

/** Whether a row counts in a run. It may be a changed copy of one of `rows`. @param {Row} row @param {Row[]} rows */
export const counts = (row, rows) => activeRows(rows.includes(row) ? rows : [...rows, row]).includes(row);

/** @template {{ state: State }} T @param {T[]} outcomes @returns {T | undefined} */
export const worst = (outcomes) =>
  outcomes.length ? outcomes.reduce((a, b) => (STATES.indexOf(a.state) >= STATES.indexOf(b.state) ? a : b)) : undefined;

/**
 * Compares a strength with what the file recommends.
 *
 * @param {number} strength
 * @param {Recommended | null} [recommended]
 * @returns {"above" | "below" | undefined}
 */
export function against(strength, recommended) {
  const most = recommended?.most ?? recommended?.strength;
  const least = recommended?.least;
  if (typeof most === "number" && strength > most) return "above";
  if (typeof least === "number" && strength < least) return "below";
  return undefined;
}

/**
 * Returns the strength that a file recommends, as near to 1 as it lets; undefined if it recommends none.
 *
 * @param {Recommended | null} [recommended]
 */
export function advised(recommended) {
  if (!recommended) return undefined;
  const { strength, least, most } = recommended;
  return strength ?? Math.min(Math.max(1, least ?? 1), most ?? Math.max(1, least ?? 1));
}

/**
 * Lists the trigger words to choose from, those of the file and those that only the row has, and which are chosen.
 *
 * @param {Pick<Row, "triggers">} row
 * @param {{ triggers: Word[], stated_triggers: string[] } | null} facts
 * @returns {(Word & { chosen: boolean })[]}
 */
export function triggerChoices({ triggers }, facts) {
  const found = facts?.triggers ?? [];
  const chosen = triggers ?? facts?.stated_triggers ?? [];
  const known = new Set(found.map(({ word }) => word));
  const own = chosen.filter((word) => !known.has(word)).map((word) => ({ word, count: null }));
  return [...found, ...own].map(({ word, count }) => ({ word, count, chosen: chosen.includes(word) }));
}

/**
 * Returns the words of several files as if they were of one, each once.
 *
 * @template {{ triggers: Word[], stated_triggers: string[] }} F
 * @param {F[]} files
 */
export function wordsOf(files) {
  const words = files.flatMap(({ triggers }) => triggers);
  return {
    triggers: words.filter(({ word }, index) => words.findIndex((each) => each.word === word) === index),
    stated_triggers: [...new Set(files.flatMap((file) => file.stated_triggers))],
  };
}

/** Adds a word to the chosen ones, or removes it. @param {string[]} chosen @param {string} word */
export const withToggled = (chosen, word) =>
  chosen.includes(word) ? chosen.filter((other) => other !== word) : [...chosen, word];
