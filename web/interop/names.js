/** From names as others write them to those that the host lists. */

import { sameName } from "../rows/value.js";

const SUFFIX = /\.(safetensors|sft|ckpt|pt|pth|bin)$/i;

/**
 * The listed name that is meant: the same but for separators, case and accents; else the only one that
 * becomes the same without its suffix; else the only one of that file name in any folder.
 *
 * @param {string} name @param {string[]} names @returns {string} the name itself if none or several are meant
 */
export function matchName(name, names) {
  if (names.includes(name)) return name;
  const steps = [sameName, (each) => withoutSuffix(each, name), (each) => baseOf(withoutSuffix(each, name))];
  for (const step of steps) {
    const found = names.filter((each) => step(each) === step(name));
    if (found.length) return found.length === 1 ? found[0] : name;
  }
  return name;
}

/** A suffix counts where the name in question has one. */
const withoutSuffix = (name, asked) => sameName(SUFFIX.test(asked) ? name : name.replace(SUFFIX, ""));

const baseOf = (name) => name.slice(name.lastIndexOf("/") + 1);

/**
 * Rows that know their file's content are left alone: another file of that name may be another LoRA.
 *
 * @param {import("../rows/registry.js").Row[]} rows @param {string[]} names
 */
export const withListedNames = (rows, names) =>
  rows.map((row) => (row.hash ? row : { ...row, name: matchName(row.name, names) }));
