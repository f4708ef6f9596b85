/**
 * The LoRA files of the host, as the page knows them: names, pictures, facts, and which were used last.
 *
 * @typedef {{ asked: string, name: string | null, how: string | null, close: string[],
 *   facts: Record<string, any> | null, error: string | null, warnings?: import("../runs/runs.js").Warning[] }} Answer
 */

import { api } from "../../../scripts/api.js";

import { sameName, splitName } from "../model/value.js";

const RECENT = "lora-algebra.recent"; // in the browser's store
const MOST_RECENT = 50;

class Library {
  /** @type {string[] | null} null until they have come */
  names = null;
  #known = new Map(); // folded -> name
  #loading = null;
  #indexes = null; // name -> the host's number of the folder it is in
  #answers = new Map();
  #noPicture = new Set();

  /** The names, asked for once. */
  load() {
    this.#loading ??= this.#fetchNames();
    return this.#loading;
  }

  /** The same, and forgets what was said about the files. */
  renew() {
    this.#answers.clear();
    this.#noPicture.clear();
    this.#indexes = null;
    return this.refreshNames();
  }

  /** Asks for the names again, without forgetting anything. @returns {Promise<boolean>} whether they have changed */
  async refreshNames() {
    const before = this.names;
    this.#loading = this.#fetchNames();
    await this.#loading;
    return before !== this.names;
  }

  async #fetchNames() {
    const names = await fetchJson("/models/loras");
    if (!Array.isArray(names) || names.join("\n") === this.names?.join("\n")) return this.names ?? [];
    this.#known = new Map(names.map((name) => [sameName(name), name]));
    this.names = names;
    this.#indexes = null;
    return names;
  }

  /** The listed name that a row means by its own. @returns {string | undefined} */
  listed(name) {
    return this.#known.get(sameName(name));
  }

  /** Those with the same base name, in whatever folder. */
  sameBase(name) {
    const base = (other) => sameName(splitName(other).base);
    return (this.names ?? []).filter((other) => base(other) === base(name));
  }

  /** Needed before there can be pictures. */
  async loadPictures() {
    if (this.#indexes) return;
    const files = (await fetchJson("/experiment/models/loras")) ?? [];
    this.#indexes = new Map(files.map(({ name, pathIndex }) => [sameName(name), pathIndex]));
  }

  /** Where the picture of a file is, if it has one. @returns {string | undefined} */
  picture(name) {
    const index = this.#indexes?.get(sameName(name));
    if (index === undefined || this.#noPicture.has(name)) return undefined;
    const path = name.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
    return api.apiURL(`/experiment/models/preview/loras/${index}/${path}`);
  }

  hasNoPicture(name) {
    this.#noPicture.add(name);
  }

  /**
   * What our route says of a file, asked for once.
   *
   * @param {string} name
   * @param {{ hash?: string, size?: number, content?: boolean }} [more]
   * @returns {Promise<Answer | null>} null if there is no answer
   */
  ask(name, more = {}) {
    const query = queryOf(name, more);
    let asked = this.#answers.get(query);
    if (!asked) {
      asked = { value: undefined };
      asked.promise = fetchJson(`/lora_algebra/lora?${query}`).then((answer) => (asked.value = answer));
      this.#answers.set(query, asked);
    }
    return asked.promise;
  }

  /** The same, if it has come already. @returns {Answer | null | undefined} */
  answer(name, more = {}) {
    return this.#answers.get(queryOf(name, more))?.value;
  }

  /** Hash and size of a listed file, if they are known by now. */
  identity(name) {
    const { how, facts } = this.answer(name, { content: true }) ?? {};
    const sure = (how === "path" || how === "spelling") && facts?.hash;
    return sure ? { hash: facts.hash, size: facts.size } : undefined;
  }

  /** @returns {string[]} the last one first */
  recent() {
    try {
      const names = JSON.parse(localStorage.getItem(RECENT));
      return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
    } catch {
      return [];
    }
  }

  use(name) {
    const names = [name, ...this.recent().filter((other) => other !== name)].slice(0, MOST_RECENT);
    try {
      localStorage.setItem(RECENT, JSON.stringify(names));
    } catch {
      // a full or closed store only costs the order of the list
    }
  }
}

function queryOf(name, { hash, size, content }) {
  const query = new URLSearchParams({ name });
  if (hash && size !== undefined)
    [
      ["hash", hash],
      ["size", size],
    ].forEach(([key, value]) => query.set(key, value));
  if (content) query.set("content", "1");
  return query.toString();
}

/** @returns {Promise<any>} null if there is none */
async function fetchJson(path) {
  try {
    const response = await api.fetchApi(path);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

export const library = new Library();
