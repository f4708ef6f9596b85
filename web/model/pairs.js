/**
 * Finds the other half of a pair by its name: trainers write one file for the high-noise model, and one for the
 * low-noise model, and say so in the name of the file or of its folder.
 *
 * @typedef {"high" | "low"} Side
 */

import { caseless, sameName } from "./filenames.js";

/**
 * How names say it, the plainest way first. A word counts as a whole: between signs, or where the case changes.
 *
 * @type {{ high: string, low: string }[]}
 */
const SPELLINGS = [
  { high: "high[ ._-]?noise", low: "low[ ._-]?noise" },
  { high: "high", low: "low" },
  { high: "hn", low: "ln" },
  { high: "h", low: "l" },
];

const MARK = "\0"; // no file name has it
const SUFFIX = /\.[A-Za-z0-9]{1,12}$/;

/** @param {string} word as a pattern @returns {RegExp} */
function wholeWord(word) {
  const capital = word.replace(/^./, (letter) => letter.toUpperCase()).replace("noise", "[Nn]oise");
  const shouted = word.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase());
  const plain = `(?<![\\p{L}\\p{N}])(?:${word}|${capital}|${shouted})(?![\\p{L}\\p{N}])`;
  if (word.length < 3) return new RegExp(plain, "gu"); // one or two letters may begin any other word
  return new RegExp(`${plain}|(?<=[\\p{Ll}\\p{N}])(?:${capital}|${shouted})(?![\\p{Ll}])`, "gu");
}

const WORDS = SPELLINGS.map(({ high, low }) => ({ high: wholeWord(high), low: wholeWord(low) }));

/**
 * Tells for which model a name says that its file is.
 *
 * @param {string} name @returns {Side | undefined} undefined if it says nothing, or both
 */
export function sideOf(name) {
  const text = name.replace(SUFFIX, "");
  for (const { high, low } of WORDS) {
    const [isHigh, isLow] = [high, low].map((word) => text.search(word) >= 0);
    if (isHigh !== isLow) return isHigh ? "high" : "low";
    if (isHigh) return undefined;
  }
  return undefined;
}

/** Returns what both halves of a pair have in common. @param {string} name @param {Side} side */
function restOf(name, side) {
  const marked = WORDS.reduce((text, words) => text.replace(words[side], MARK), name.replace(SUFFIX, ""));
  return caseless(sameName(marked));
}

/**
 * Returns the other half of a pair. It has the same name but for the words that say which half it is.
 *
 * @param {string} name @param {string[]} names those to find it among
 * @returns {string | undefined} undefined if there is none, or if more than these two would fit
 */
export function otherHalf(name, names) {
  const side = sideOf(name);
  if (!side) return undefined;
  const [own, rest] = [sameName(name), restOf(name, side)];
  const alike = names.filter((each) => {
    const other = sideOf(each);
    return other && restOf(each, other) === rest;
  });
  const others = alike.filter((each) => sideOf(each) !== side);
  const rivals = alike.filter((each) => sideOf(each) === side && sameName(each) !== own);
  return others.length === 1 && !rivals.length ? others[0] : undefined;
}
