/** Asks for the block weights of a row: lines of text, with presets to choose from. */

import { presets } from "../library/presets.js";
import { make } from "../page/elements.js";
import { keepFocus, openPopup } from "../page/popup.js";
import { t } from "../page/words.js";

const EXAMPLE = "double 0-6: 0\nsingle 20-: 0.5\nother: 0.8";

/**
 * @param {HTMLElement} opener
 * @param {string} name of the row's file
 * @param {string} text the lines so far
 * @param {(text: string) => void} accept gets the new lines; empty to remove them
 */
export function askForBlocks(opener, name, text, accept) {
  const field = make("textarea", {
    rows: 6,
    "aria-label": t("Lines of block weights"),
    placeholder: EXAMPLE,
    spellcheck: "false",
  });
  field.value = text;
  const finish = (/** @type {string} */ lines) => {
    close();
    accept(lines);
  };
  const box = make(
    "div",
    {
      class: "lora-algebra-popup lora-algebra-blocks-box",
      role: "dialog",
      "aria-label": t("Block weights of {name}", { name }),
    },
    presetList(field),
    field,
    make("p", {}, t("A line for each name. Names without a line keep their strength.")),
    buttons(finish, field, text !== ""),
  );
  keepFocus(box);
  const close = openPopup(box, opener, { opener });
  field.focus();
}

/**
 * @param {(lines: string) => void} finish @param {HTMLTextAreaElement} field
 * @param {boolean} removable whether there is something to remove
 */
function buttons(finish, field, removable) {
  const remove = make("button", { type: "button", onclick: () => finish("") }, t("Remove"));
  const apply = make("button", { type: "button", class: "main", onclick: () => finish(field.value) }, t("Apply"));
  return make("div", { class: "buttons" }, ...(removable ? [remove] : []), apply);
}

/** Lists the presets. The one that is chosen becomes the first line. @param {HTMLTextAreaElement} field */
function presetList(field) {
  const label = t("Preset…");
  const options = [label, ...presets()].map((name) => make("option", {}, name));
  const list = make("select", { "aria-label": t("Preset of block weights") }, ...options);
  list.addEventListener("change", () => {
    if (list.selectedIndex) field.value = withPreset(field.value, list.value);
    list.selectedIndex = 0;
  });
  return list;
}

/** Puts a preset above the other lines, which count more, in place of another one. @param {string} text @param {string} preset */
function withPreset(text, preset) {
  const [first, ...others] = text.split("\n");
  const rest = presets().includes(first.trim()) || !first.trim() ? others : [first, ...others];
  return [preset, ...rest].join("\n");
}
