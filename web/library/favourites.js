/**
 * The user's favourite files.
 *
 * They are in the host's user data, in `lora-algebra/lora_favourites.json`: `{"version": 1, "favourites": [NAME, …]}`.
 */

import { Kept, without } from "../page/kept.js";

const VERSION = 1;

/** @type {Kept<true>} */
const KEPT = new Kept("lora_favourites.json", {
  read: readFavourites,
  write: (named) => ({ version: VERSION, favourites: [...named.keys()] }),
});

/** @param {unknown} json @returns {import("../page/kept.js").Named<true> | null} */
function readFavourites(json) {
  const { version, favourites } = /** @type {{ version?: unknown, favourites?: unknown }} */ (json ?? {});
  if (version !== VERSION || !Array.isArray(favourites)) return null;
  return new Map(favourites.filter((name) => typeof name === "string").map((name) => [name, true]));
}

/** @returns {Promise<Set<string>>} none if they cannot be read */
export async function loadFavourites() {
  return new Set((await KEPT.load())?.keys());
}

/** Makes a file a favourite, or no longer one. @param {string} name @param {boolean} isOne */
export const setFavourite = (name, isOne) =>
  KEPT.change((now) => (isOne ? new Map([...now, [name, /** @type {true} */ (true)]]) : without(now, name)));
