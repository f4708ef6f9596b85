/**
 * Our words on the page in the user's language. The English sentence is the key, so that code
 * reads as what it shows and a language without a word falls back to English.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const SECTION = "loraAlgebra"; // in locales/<language>/main.json

let translated = {};

/** Fetches the words; to be awaited before anything of ours is drawn. */
export async function loadWords() {
  const languages = await api.getCustomNodesI18n();
  const language = app.extensionManager?.setting.get("Comfy.Locale") ?? "en";
  translated = languages[language]?.[SECTION] ?? {};
}

/**
 * `t("{count} of {all} layers", { count: 3, all: 4 })` is "3 of 4 layers", or that in the user's language.
 *
 * @param {string} sentence English, with {names} in braces
 * @param {Record<string, unknown>} [values]
 */
export function t(sentence, values = {}) {
  const words = translated[sentence] ?? sentence;
  return words.replace(/\{(\w+)\}/g, (name, key) => (key in values ? String(values[key]) : name));
}
