/** Finds the names that the host lists by those that others write. */

import { sameName } from "../model/filenames.js";
import { identityOf } from "../model/value.js";

const SUFFIX = /\.(safetensors|sft|ckpt|pt|pth|bin)$/i;

/** Names that trainers give to every file. There the folder says which one is meant, as in lora_core/library/resolve.py. */
const GENERIC = /\/(adapter_model|pytorch_lora_weights)(\.safetensors)?$/;

/** @typedef {(name: string) => string} Key the part of a name by which it is found */

/** @type {Key} */
const wholeOf = (name) => name;
/** @type {Key} */
const stemOf = (name) => name.replace(SUFFIX, "");
/** @type {Key} */
const baseOf = (name) => name.slice(name.lastIndexOf("/") + 1);
/** @type {Key} */
const stemOfBase = (name) => baseOf(stemOf(name));

/**
 * Finds the listed name that is meant: the same but for separators, case and accents; else the only one that
 * becomes the same without its suffix; else the only one of that file name in any folder. A suffix counts
 * where the name in question has one.
 *
 * @param {string[]} names
 * @returns {(name: string) => string} the name itself if none or several are meant
 */
export function matcher(names) {
  const listed = new Set(names);
  const [whole, base, stem, stemBase] = [wholeOf, baseOf, stemOf, stemOfBase].map((key) => index(names, key));
  return (name) => {
    if (listed.has(name)) return name;
    const asked = sameName(name);
    const steps = SUFFIX.test(asked) ? [whole, base] : [whole, stem, stemBase];
    const sure = GENERIC.test(asked) ? steps.filter((step) => step !== base && step !== stemBase) : steps;
    const step = sure.find(({ key, names: keyed }) => keyed.has(key(asked)));
    return step?.names.get(step.key(asked)) ?? name;
  };
}

/** Indexes names by a part of them; null where several share it. @param {string[]} names @param {Key} key */
function index(names, key) {
  /** @type {Map<string, string | null>} */
  const keyed = new Map();
  for (const name of names) {
    const part = key(sameName(name));
    keyed.set(part, keyed.has(part) ? null : name);
  }
  return { key, names: keyed };
}

/**
 * Gives rows the listed names of their files. Rows that know their file's content are left alone: another file of
 * that name may be another LoRA.
 *
 * @param {import("../model/value.js").Row[]} rows @param {string[]} names
 */
export function withListedNames(rows, names) {
  if (!rows.length) return rows;
  const match = matcher(names);
  const named = (/** @type {{ name: string }} */ of) => (identityOf(of).hash ? {} : { name: match(of.name) });
  return rows.map((row) => ({ ...row, ...named(row), ...(row.low ? { low: { ...row.low, ...named(row.low) } } : {}) }));
}
