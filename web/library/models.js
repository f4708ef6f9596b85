/**
 * What our route says of models.
 *
 * @typedef {{ kind: string, name: string }} ModelFile by the host's name for its folder
 * @typedef {{ architecture: string | null, fits: string[] }} Model `fits`: the architectures whose LoRAs may fit it
 */

import { fetchJson } from "./fetch.js";

/** @type {Map<string, Promise<Model | null>>} */
const asked = new Map();

/** Forgets what was said: a file may be another one by now. */
export const forgetModels = () => asked.clear();

/** Asks about a model, once. @param {ModelFile} file */
function askModel({ kind, name }) {
  const query = new URLSearchParams({ kind, name }).toString();
  const answer = asked.get(query) ?? fetchJson(`/lora_algebra/model?${query}`);
  asked.set(query, answer);
  return answer;
}

/**
 * Returns what fits any of some models.
 *
 * @param {ModelFile[]} files
 * @returns {Promise<{ names: string[], fits: string[] } | null>} null if one of them is not known
 */
export async function fittingOf(files) {
  const models = await Promise.all(files.map(askModel));
  const known = models.flatMap((model) => (model?.architecture ? [model] : []));
  if (!known.length || known.length < models.length) return null;
  const names = [...new Set(known.map(({ architecture }) => String(architecture)))];
  return { names, fits: [...new Set(known.flatMap(({ fits }) => fits))] };
}
