/**
 * What we say on the page, in the user's language. The English sentence is the key: so code reads as what it
 * shows, and a sentence without a translation is shown in English.
 */

import { api } from "../../../scripts/api.js";

import { app } from "../../../scripts/app.js";

const SECTION = "loraAlgebra"; // in locales/<language>/main.json

/** Language -> English sentence -> its translation. @type {Record<string, Record<string, string>>} */
const translated = {};

/** @type {Promise<void> | undefined} */
let loading;

/** Fetches the translations, once. Await it in `init`, before anything of ours is drawn. */
export function loadWords() {
  loading ??= fetchWords();
  return loading;
}

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

/** Returns the user's language. It is asked for with every sentence, since the user can change it at any time. */
const language = () => String(app.extensionManager?.setting?.get("Comfy.Locale") ?? "en");

async function fetchWords() {
  try {
    for (const [name, sections] of Object.entries(await api.getCustomNodesI18n()))
      translated[name] = sections?.[SECTION] ?? {};
  } catch (error) {
    console.warn("LoRA Algebra speaks English, since the host gives no translations:", error);
  }
}

app.registerExtension({ name: "LoraAlgebra.Words", init: loadWords });
