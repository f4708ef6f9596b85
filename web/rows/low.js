/** Shows below a row the file that the low-noise model gets instead of the first one. */

import { asLow, renameLow, setLowStrength } from "../model/sides.js";
import { icon, make, setAttributes } from "../page/elements.js";
import { t } from "../page/words.js";
import { button, showName } from "./controls.js";
import { FileState } from "./file_state.js";
import { showOnHover } from "./hover.js";
import { shortName } from "./missing.js";
import { openNoiseMenu } from "./noise.js";
import { openPicker } from "./picker.js";
import { Strength } from "./strength.js";

/** @typedef {import("../model/value.js").Row} Row @typedef {import("./row.js").RowView} RowView */

export class LowLine {
  /** @param {RowView} view of the row */
  constructor(view) {
    this.view = view;
    this.file = button("lora-algebra-file", "", { "aria-haspopup": "dialog", onclick: () => this.#choose() });
    this.state = new FileState(view.list, (name, identity) => view.edit(renameLow, name, identity));
    this.strength = new Strength((value, how) => view.change(how, setLowStrength, value));
    this.strengths = make("div", { class: "lora-algebra-strengths" });
    this.more = button("lora-algebra-more", icon("more"), {
      "aria-haspopup": "menu",
      onclick: () => openNoiseMenu(view, this.more),
    });
    this.line = this.#makeLine();
    this.element = make("div", { class: "lora-algebra-low", role: "group" }, this.line);
    showOnHover(this.line, this.file, () => view.row.low?.name ?? "");
  }

  #makeLine() {
    const mark = make("span", { class: "lora-algebra-low-mark", title: t("For the low-noise model") }, t("low"));
    const name = make("div", { class: "lora-algebra-name" }, this.file);
    const controls = [mark, name, this.state.element, this.strengths, this.more];
    return make("div", { class: "lora-algebra-line" }, ...controls);
  }

  /** @param {Row} row that has a file for low noise @param {boolean} active whether that counts */
  update(row, active) {
    const low = asLow(row);
    const name = shortName(low);
    setAttributes(this.element, { "data-active": String(active), "aria-label": t("Low noise: {name}", { name }) });
    setAttributes(this.file, { "aria-label": t("Choose the file for low noise, {name}", { name }) });
    setAttributes(this.more, {
      "aria-label": t("High and low noise, {name}", { name }),
      title: t("High and low noise"),
    });
    showName(this.file, low.name);
    this.#showStrength(row.low?.strength, name);
    this.state.update(this.element, this.line, active ? low : { ...low, on: false });
  }

  /** @param {number | undefined} strength its own, if it has one @param {string} name */
  #showStrength(strength, name) {
    const { element } = this.strength;
    if (strength === undefined) return element.remove();
    if (!element.parentNode) this.strengths.append(element);
    setAttributes(element, { title: t("Strength for low noise") });
    this.strength.update(strength, t("Low-noise strength of {name}", { name }));
  }

  #choose() {
    const take = async (/** @type {string} */ name) =>
      this.view.edit(renameLow, name, await this.view.list.identify(name));
    const { node } = this.view.list;
    openPicker(this.file, { node, current: this.view.row.low?.name, onPick: take });
  }
}
