/**
 * What our route says of all files at a glance. It tells at once what it knows already, and is then asked for what has
 * become known since, until that is all, but only while somebody looks on.
 *
 * @typedef {import("../model/narrowing.js").Glance} Glance
 */

import { api } from "../../../scripts/api.js";

import { fetchJson } from "./fetch.js";

const WAITS = [300, 600, 1200, 2400, 4800]; // milliseconds before each of the next questions; the last one stays

class Overview {
  /** @type {Map<string, Glance>} by the listed name */
  glances = new Map();
  #complete = false;
  /** @type {string | undefined} what the next question begins after; all files without one */
  #cursor;
  /** @type {Promise<void> | null} the question that is under way, or has been answered */
  #asked = null;
  /** @type {Set<() => void>} */
  #watchers = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #questions = 0;
  /** @type {Promise<void> | null} */
  #underWay = null;

  /** Asks once, for who only needs what is next to files. */
  load() {
    this.#asked ??= this.#ask();
    return this.#asked;
  }

  /**
   * Asks for all files as they are now, and calls `changed` whenever more is known of them.
   *
   * @param {() => void} changed
   * @returns {() => void} ends it
   */
  watch(changed) {
    this.#watchers.add(changed);
    this.#questions = 0;
    this.#asked = this.#ask();
    return () => {
      this.#watchers.delete(changed);
      if (!this.#watchers.size) clearTimeout(this.#timer);
    };
  }

  /** Forgets that it has been asked, since files may have changed. */
  forget() {
    this.#asked = null;
  }

  /** Asks, unless there is a question that has no answer yet. @param {string} [cursor] */
  #ask(cursor = "") {
    this.#underWay ??= this.#askNow(cursor).finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  /** @param {string} cursor */
  async #askNow(cursor) {
    clearTimeout(this.#timer);
    const told = await fetchJson(`/lora_algebra/library${cursor && `?since=${cursor}`}`);
    if (Array.isArray(told?.files)) {
      if (told.since === undefined) this.glances = new Map(); // it tells of all files
      for (const glance of told.files) this.glances.set(glance.name, glance);
      this.#cursor = told.cursor;
      this.#complete = told.complete === true;
    } else this.#complete = true; // who does not answer is not asked again
    for (const changed of this.#watchers) changed();
    this.#askLater();
  }

  #askLater() {
    clearTimeout(this.#timer);
    if (this.#complete || !this.#watchers.size) return;
    const wait = WAITS[Math.min(this.#questions, WAITS.length - 1)];
    this.#questions += 1;
    this.#timer = setTimeout(() => {
      this.#asked = this.#ask(this.#cursor);
    }, wait);
  }

  /** Returns the address of a file's picture, if it has one. @param {string} name */
  picture(name) {
    const folder = this.glances.get(name)?.folder;
    if (folder === undefined) return undefined;
    const path = name.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
    return api.apiURL(`/experiment/models/preview/loras/${folder}/${path}`);
  }

  /** Forgets a picture that cannot be shown. @param {string} name */
  hasNoPicture(name) {
    const glance = this.glances.get(name);
    if (glance) delete glance.folder;
  }

  /** Returns the address of a file's video, if it has one. @param {string} name */
  video(name) {
    if (!this.glances.get(name)?.video) return undefined;
    return api.apiURL(`/lora_algebra/video?${new URLSearchParams({ name })}`);
  }
}

export const overview = new Overview();
