/** Asks for text that the browser does not let the page read by itself. */

import { make, setText } from "../page/elements.js";
import { keepFocus, openPopup } from "../page/popup.js";
import { t } from "../page/words.js";

/**
 * @param {HTMLElement} opener
 * @param {(text: string) => boolean} accept returns whether there was something in the text
 * @param {string} [text] a text in which nothing was found
 */
export function askForText(opener, accept, text) {
  const field = make("textarea", { rows: 5, "aria-label": t("Text with LoRAs"), spellcheck: "false" });
  const say = make("p", { role: "status" });
  const box = make("div", {
    class: "lora-algebra-popup lora-algebra-paste",
    role: "dialog",
    "aria-label": t("Paste rows"),
  });
  const nothing = t("There are no LoRAs in this text.");
  const add = () => (accept(field.value) ? close() : setText(say, nothing));
  box.append(field, say, make("button", { type: "button", onclick: add }, t("Add rows")));
  setText(say, text === undefined ? t("Paste text with <lora:…> tags, or nodes copied from a graph.") : nothing);
  keepFocus(box);
  field.value = text?.slice(0, 2000) ?? "";
  const close = openPopup(box, opener, { opener });
  field.focus();
  field.select();
}
