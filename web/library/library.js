/**
 * The LoRA files of the host, as the page knows them: names, facts, and which were used last.
 *
 * @typedef {import("../model/outcomes.js").Word & { source: string }} Trigger
 * @typedef {{ size: number, modified: number, hash: string | null, base: string | null, families: string[],
 *   ranks: [number, number] | null, trainer: string | null, dialects: string[], model_layers: number,
 *   clip_layers: number, triggers: Trigger[], stated_triggers: string[], title: string | null,
 *   author: string | null, description: string | null, notes: string | null,
 *   recommended: import("../model/outcomes.js").Recommended | null,
 *   civitai: string | null,
 *   metadata: Record<string, string> }} Facts what our route says of one file
 * @typedef {{ name: string, blocks: [number: number, size: number | null][] }} List of blocks, and how much a file
 *   changes in each; null if nobody knows
 * @typedef {{ asked: string, name: string | null, how: string | null, close: string[], facts: Facts | null,
 *   error: string | null, warnings?: import("../model/outcomes.js").Warning[], blocks?: List[],
 *   presets?: Record<string, string> }} Reply of our route
 * @typedef {import("../model/value.js").Identity & { content?: boolean, blocks?: boolean }} More what is asked besides
 *   the name: by `hash` and `size` a file is found under another name; `content` asks for its hash, `blocks` for what
 *   it changes in which block, and for our presets of block weights
 * @typedef {{ promise: Promise<Reply | null>, value: Reply | null | undefined }} Asked undefined until it has come
 */

import { sameName, splitName } from "../model/filenames.js";
import { fetchJson } from "./fetch.js";

const RECENT = "lora-algebra.recent"; // in the browser's store
const MOST_RECENT = 50;

class Library {
  /** @type {string[] | null} null until they have come */
  names = null;
  /** @type {Map<string, string>} folded name -> name */
  #known = new Map();
  /** @type {Promise<string[]> | null} */
  #loading = null;
  /** @type {Map<string, Asked>} */
  #answers = new Map();

  /** Asks for the names, once. */
  load() {
    this.#loading ??= this.#fetchNames();
    return this.#loading;
  }

  /** Asks for the names again, and forgets what was said about the files. */
  renew() {
    this.#answers.clear();
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
    return names;
  }

  /** Returns the listed name that a row means by its own. @param {string} name */
  listed(name) {
    return this.#known.get(sameName(name));
  }

  /** Returns the listed names with the same base name, in whatever folder. @param {string} name */
  sameBase(name) {
    const base = (/** @type {string} */ other) => sameName(splitName(other).base);
    return (this.names ?? []).filter((other) => base(other) === base(name));
  }

  /**
   * Asks our route about a file, once for each question.
   *
   * @param {string} name @param {More} [more]
   * @returns {Promise<Reply | null>} null if there is no answer
   */
  ask(name, more = {}) {
    const query = queryOf(name, more);
    const asked = this.#answers.get(query);
    if (asked) return asked.promise;
    const promise = fetchJson(`/lora_algebra/lora?${query}`).then((reply) => {
      entry.value = reply;
      return reply;
    });
    /** @type {Asked} */
    const entry = { promise, value: undefined };
    this.#answers.set(query, entry);
    return promise;
  }

  /**
   * Returns the reply if it has come already.
   *
   * @param {string} name @param {More} [more] @returns {Reply | null | undefined}
   */
  answer(name, more = {}) {
    return this.#answers.get(queryOf(name, more))?.value;
  }

  /**
   * Returns hash and size of a listed file, if they are known by now.
   *
   * @param {string} name @returns {import("../model/value.js").Identity | undefined}
   */
  identity(name) {
    const { how, facts } = this.answer(name, { content: true }) ?? {};
    const isSure = how === "path" || how === "spelling";
    return isSure && facts?.hash ? { hash: facts.hash, size: facts.size } : undefined;
  }

  /** @returns {string[]} the last one first */
  recent() {
    try {
      const names = JSON.parse(localStorage.getItem(RECENT) ?? "null");
      return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
    } catch {
      return [];
    }
  }

  /** Remembers that a file was used. @param {string} name */
  use(name) {
    const names = [name, ...this.recent().filter((other) => other !== name)].slice(0, MOST_RECENT);
    try {
      localStorage.setItem(RECENT, JSON.stringify(names));
    } catch {
      // a full or closed store only costs the order of the list
    }
  }
}

/** @param {string} name @param {More} more */
function queryOf(name, { hash, size, content, blocks }) {
  const query = new URLSearchParams({ name });
  if (hash && size !== undefined) {
    query.set("hash", hash);
    query.set("size", String(size));
  }
  if (content) query.set("content", "1");
  if (blocks) query.set("blocks", "1");
  return query.toString();
}

export const library = new Library();
