/** The user's own presets of block weights: in a file of the host's user data, shown in a menu. */

import { askForName, Kept, without } from "../page/kept.js";
import { openMenu } from "../page/menu.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

/** @type {Kept<unknown>} what is no text stays as it is, unseen */
const PRESETS = new Kept("block_presets.json", {
  read: (json) => new Map(Object.entries(json ?? {})),
  write: Object.fromEntries,
});

/** @typedef {{ text: () => string, choose: (text: string) => void }} Host what is to be saved, and what takes a preset */

/** @param {HTMLElement} opener @param {Host} host */
export async function openPresets(opener, { text, choose }) {
  const presets = [...((await PRESETS.load()) ?? [])].filter(isText);
  const own = presets.map(([name, saved]) => ({ text: printable(name), action: () => choose(saved) }));
  const saving = { text: t("Save as preset…"), action: () => ask(opener, text()) };
  const deleting = {
    text: t("Delete a preset…"),
    action: () =>
      openDeletion(
        opener,
        presets.map(([name]) => name),
      ),
  };
  openMenu(t("Presets"), [...own, saving, { ...deleting, disabled: !own.length }], opener, opener);
}

/** @param {[string, unknown]} preset @returns {preset is [string, string]} */
const isText = (preset) => typeof preset[1] === "string";

/** @param {HTMLElement} opener @param {string[]} names */
function openDeletion(opener, names) {
  const remove = (/** @type {string} */ name) => PRESETS.change((now) => without(now, name));
  const items = names.map((name) => ({ text: printable(name), action: () => void remove(name) }));
  openMenu(t("Delete a preset…"), items, opener, opener);
}

/** @param {HTMLElement} opener @param {string} text */
function ask(opener, text) {
  const words = { title: t("Save as preset…"), label: t("Name of the preset") };
  askForName(opener, words, (name) => PRESETS.add(name, text));
}
