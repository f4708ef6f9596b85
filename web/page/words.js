/**
 * Our words on the page in the user's language. The English sentence is the key, so that code
 * reads as what it shows and a language without a word falls back to English.
 */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const SECTION = "loraAlgebra"; // in locales/<language>/main.json

/** Language -> sentence -> the words for it. @type {Record<string, Record<string, string>>} */
const translated = {};

/** @type {Promise<void> | undefined} */
let loading;

/** Fetches the words, once; to be awaited in `init`, which is before anything of ours is drawn. */
export const loadWords = () => (loading ??= fetchWords());

/**
 * `t("{count} of {all} layers", { count: 3, all: 4 })` is "3 of 4 layers", or that in the user's language.
 *
 * @param {string} sentence English, with {names} in braces
 * @param {Record<string, unknown>} [values]
 */
export function t(sentence, values = {}) {
  const words = translated[language()]?.[sentence] ?? sentence;
  return words.replace(/\{(\w+)\}/g, (name, key) => (Object.hasOwn(values, key) ? String(values[key]) : name));
}

/** Asked anew for every sentence, since the user can choose another at any time. */
const language = () => app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";

async function fetchWords() {
  try {
    for (const [name, sections] of Object.entries(await api.getCustomNodesI18n()))
      translated[name] = sections?.[SECTION] ?? {};
  } catch (error) {
    console.warn("LoRA Algebra speaks English, since the host gives no translations:", error);
  }
}

app.registerExtension({ name: "LoraAlgebra.Words", init: loadWords });
