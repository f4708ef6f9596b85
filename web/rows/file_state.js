/** Shows beside a file what became of it in the last run, and below it what could be meant if it is missing. */

import { library } from "../library/library.js";
import { identityOf } from "../model/value.js";
import { icon, isolated, make, setAttributes } from "../page/elements.js";
import { t } from "../page/words.js";
import { outcomeOf } from "../runs/feedback.js";
import { button } from "./controls.js";
import { fillOffers, isMissing, offersFor, pathName } from "./missing.js";

/**
 * @typedef {import("./list.js").List} List
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../model/value.js").Identity} Identity
 * @typedef {(name: string, identity?: Identity) => void} Take gives the row another file; `identity` if it is the same
 */

const MARKED = ["missing", "moved", "refused", "partial"];

export class FileState {
  /** @param {List} list @param {Take} take */
  constructor(list, take) {
    this.list = list;
    this.take = take;
    this.element = make("span", { class: "lora-algebra-state" });
    this.offers = make("div", { class: "lora-algebra-offers" });
  }

  /**
   * @param {HTMLElement} holder is marked with the state
   * @param {HTMLElement} line below which the offers go
   * @param {Row} row as the models see it that get the file
   */
  update(holder, line, row) {
    const missing = isMissing(row);
    /** @type {{ state?: string, text?: string, title?: string }} */
    const { state, text, title } = missing ? this.#missing(line, row) : (outcomeOf(this.list.node, row) ?? {});
    setAttributes(holder, { "data-state": state ?? "none" });
    setAttributes(this.element, { title: title || undefined });
    const shown = `${state} ${text ?? ""}`;
    if (this.element.dataset.shown !== shown) {
      this.element.dataset.shown = shown;
      this.element.replaceChildren(...(MARKED.includes(state ?? "") ? [icon("warning")] : []), text ?? "");
    }
    if (!missing) this.offers.remove();
  }

  /** @param {HTMLElement} line @param {Row} row */
  #missing(line, row) {
    const offers = offersFor(row, () => this.list.refresh());
    fillOffers(this.offers, offers, (name) => this.#offer(row, name, offers.sure));
    if (!this.offers.isConnected) line.after(this.offers);
    const title = t("ComfyUI does not list {name}", { name: row.name });
    if (offers.said === undefined) return { state: "missing", text: t("missing"), title };
    const run = outcomeOf(this.list.node, row);
    if (run?.state === "refused") return run;
    return { state: "moved", text: t("moved"), title: run?.title || offers.said || title };
  }

  /** @param {Row} row @param {string} name @param {boolean} sure the file is the same */
  #offer(row, name, sure) {
    const take = () => {
      library.use(name);
      this.take(name, sure ? identityOf(row) : undefined);
    };
    return button("lora-algebra-offer", isolated(t("Use {name}", { name: pathName(name) })), {
      onclick: take,
      title: name,
    });
  }
}
