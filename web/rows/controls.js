/** Makes the controls of a row. */

import { splitName } from "../model/filenames.js";
import { isolated, make, setAttributes } from "../page/elements.js";
import { t } from "../page/words.js";

/**
 * @typedef {import("../page/elements.js").Attributes} Attributes
 * @typedef {import("../page/elements.js").Listeners<HTMLButtonElement>} Listeners
 */

/** @param {string} className @param {Node | string} content @param {Attributes & Listeners} [properties] */
export function button(className, content, properties) {
  return make("button", { class: className, type: "button", ...properties }, content);
}

/** Shows the name of a file on the button that chooses it. @param {HTMLElement} file @param {string} name */
export function showName(file, name) {
  if (file.dataset.name === name) return;
  file.dataset.name = name;
  const { folder, base } = splitName(name);
  setAttributes(file, { title: name || undefined });
  const shown = [isolated(folder, "lora-algebra-folder"), isolated(base, "lora-algebra-base")];
  file.replaceChildren(...(name ? shown : [t("Choose a LoRA…")]));
}
