/**
 * What a run has made of files, as numbers. Nothing here knows the page.
 *
 * @typedef {import("../runs/runs.js").Outcome} Outcome
 * @typedef {import("./registry.js").Row} Row
 */

import { activeRows, sameName } from "./value.js";

const STATES = ["none", "applied", "stale", "partial", "refused"]; // the worst one last

/** Each file once, though a node that runs over a list tells of it in every run. @param {Outcome[]} loras */
export function countsOf(loras) {
  const files = [...new Map(loras.map((lora) => [lora.name, lora])).values()];
  const sum = (count) => files.reduce((total, lora) => total + count(lora), 0);
  return {
    loras: files.length,
    applied: sum(({ applied }) => applied),
    found: sum(({ found }) => found),
    warnings: sum(({ warnings = [] }) => warnings.length),
  };
}

/** How many files a report is about, of which there is only the text: "NAME (FACTS)", and more that stands in. */
export const titlesIn = (text) => text.split("\n").filter((line) => /^\S.*\)$/.test(line)).length;

/** @param {Outcome[]} loras @param {string[]} names of one file @returns {Outcome | undefined} */
export function outcomeNamed(loras, names) {
  const meant = names.map(sameName);
  return loras.find(({ name }) => meant.includes(sameName(name)));
}

/** Whether a row, which may be a changed copy of one of `rows`, counts in a run. @param {Row} row @param {Row[]} rows */
export const counts = (row, rows) => activeRows(rows.includes(row) ? rows : [...rows, row]).includes(row);

/** @template {{ state: string }} T @param {T[]} outcomes @returns {T | undefined} */
export const worst = (outcomes) =>
  outcomes.reduce((a, b) => (a && STATES.indexOf(a.state) >= STATES.indexOf(b.state) ? a : b), undefined);

/**
 * Where a strength lies against what the file recommends.
 *
 * @param {number} strength
 * @param {{ strength: number | null, least: number | null, most: number | null } | null} [recommended]
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
 * The trigger words to choose from, those of the file and those that only the row has, and which are chosen.
 *
 * @param {Row} row
 * @param {{ triggers: { word: string, count: number | null }[], stated_triggers: string[] } | null} facts
 * @returns {{ word: string, count: number | null, chosen: boolean }[]}
 */
export function triggerChoices({ triggers }, facts) {
  const found = facts?.triggers ?? [];
  const chosen = triggers ?? facts?.stated_triggers ?? [];
  const known = new Set(found.map(({ word }) => word));
  const own = chosen.filter((word) => !known.has(word)).map((word) => ({ word, count: null }));
  return [...found, ...own].map(({ word, count }) => ({ word, count, chosen: chosen.includes(word) }));
}

/** The chosen words with one more, or one less. @param {string[]} chosen @param {string} word */
export const withToggled = (chosen, word) =>
  chosen.includes(word) ? chosen.filter((other) => other !== word) : [...chosen, word];
