/** How we ask the host. */

import { api } from "../../../scripts/api.js";

/** @param {string} path @returns {Promise<any>} what the host says; null if there is no answer */
export async function fetchJson(path) {
  try {
    const response = await api.fetchApi(path);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
