/** The user's own named things, in a file of the host's user data: the same in every tab, and apart for every user. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

import { make } from "./elements.js";
import { keepFocus, openPopup } from "./popup.js";
import { printable } from "./text.js";
import { t } from "./words.js";

const FOLDER = "lora-algebra"; // among the user data
export const LONGEST_NAME = 60;

/**
 * @template T
 * @typedef {Map<string, T>} Named
 */

/**
 * A file with named things.
 *
 * @template T
 */
export class Kept {
  /** @type {Promise<unknown>} one change after the other */
  #changing = Promise.resolve();

  /**
   * @param {string} file its name among the user data
   * @param {{ read: (json: unknown) => Named<T> | null, write: (named: Named<T>) => unknown }} form `read` gives null
   *   for what another version has written
   */
  constructor(file, form) {
    this.path = `${FOLDER}/${file}`;
    this.address = `/userdata/${encodeURIComponent(this.path)}`;
    this.form = form;
  }

  /** @returns {Promise<Named<T> | null>} null if there is a file that cannot be read */
  async load() {
    try {
      if (!(await this.#exists())) return new Map();
      const response = await api.fetchApi(this.address, { cache: "no-store" });
      if (response.status === 404) return new Map();
      return response.ok ? this.form.read(await response.json()) : null;
    } catch {
      return null;
    }
  }

  /** Tells whether there is a file, so that the browser need not report one that is not there. */
  async #exists() {
    const response = await api.fetchApi("/v2/userdata", { cache: "no-store" });
    const listed = response.ok ? await response.json() : null;
    return !Array.isArray(listed) || listed.some(({ path }) => path === this.path);
  }

  /**
   * Changes what is in the file now, which may be newer than what was shown. A file that cannot be read stays.
   *
   * @param {(named: Named<T>) => Named<T>} edit gives back what it got where there is nothing to change
   * @returns {Promise<boolean>} whether the file has it now; the user is told if not
   */
  change(edit) {
    const changed = this.#changing.then(() => this.#alone(() => this.#change(edit)));
    this.#changing = changed.catch(() => {}); // the next change does not suffer from it
    return changed;
  }

  /** Adds a thing, unless its name is taken. @param {string} name @param {T} value */
  add(name, value) {
    return this.change((now) => (isTaken(now, name) ? now : new Map([...now, [name, value]])));
  }

  /**
   * Waits for the other tabs. A browser has no locks for a page that comes by http from another computer.
   *
   * @param {() => Promise<boolean>} change @returns {Promise<boolean>}
   */
  #alone(change) {
    return navigator.locks ? navigator.locks.request(this.path, change) : change();
  }

  /** @param {(named: Named<T>) => Named<T>} edit */
  async #change(edit) {
    const now = await this.load();
    const edited = now && edit(now);
    const isSaved = edited !== null && (edited === now || (await this.#write(edited)));
    if (!isSaved) tell("error", t("ComfyUI has not saved this."));
    return isSaved;
  }

  /** @param {Named<T>} named */
  async #write(named) {
    const body = JSON.stringify(this.form.write(named), null, 2);
    const response = await api.fetchApi(this.address, { method: "POST", body }).catch(() => null);
    return response?.ok ?? false;
  }
}

/** @template T @param {Named<T>} named @param {string} name @returns {Named<T>} */
export const without = (named, name) => new Map([...named].filter(([other]) => other !== name));

/**
 * Tells whether a name is taken, and the user so: what has it would be lost.
 *
 * @param {Named<unknown>} named @param {string} name
 */
export function isTaken(named, name) {
  const taken = named.has(name);
  if (taken) tell("warn", t("The name “{name}” is taken. Choose another one.", { name: printable(name) }));
  return taken;
}

/** Shows a toast. @param {"warn" | "error"} severity @param {string} detail */
function tell(severity, detail) {
  app.extensionManager.toast.add({ severity, summary: t("LoRA Algebra"), detail, life: 10_000 });
}

/**
 * Asks for a name under which something is saved.
 *
 * @param {HTMLElement} opener
 * @param {{ title: string, label: string, value?: string }} words
 * @param {(name: string) => void} then
 */
export function askForName(opener, { title, label, value = "" }, then) {
  const field = make("input", { type: "text", "aria-label": label, autocomplete: "off" });
  field.maxLength = LONGEST_NAME;
  field.placeholder = label;
  field.value = value;
  const add = () => {
    const name = field.value.trim();
    if (!name) return;
    close();
    then(name);
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault(); // else it also presses the button that gets the focus back
    add();
  });
  const box = make(
    "div",
    { class: "lora-algebra-popup lora-algebra-asking", role: "dialog", "aria-label": title },
    field,
    make("button", { type: "button", onclick: add }, t("Save")),
  );
  keepFocus(box);
  const close = openPopup(box, opener, { opener });
  field.focus();
  field.select();
}
