/** Makes the bar of the picker that says which files are shown, and in which order. */

import { choicesIn, readNarrowing, showingAll } from "../model/narrowing.js";
import { icon, make, setAttributes, setText } from "../page/elements.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

const STORED = "lora-algebra.narrowing"; // in the browser's store
const MOST_CHOICES = 200;

/**
 * @typedef {import("../model/narrowing.js").Narrowing} Narrowing
 * @typedef {import("../model/narrowing.js").Glance} Glance
 */

export class Filters {
  /** @type {Narrowing} */
  narrowing = readNarrowing(localStorage.getItem(STORED));

  /** @param {() => void} changed is called after every choice of the user's */
  constructor(changed) {
    this.changed = changed;
    this.fits = this.#toggle("fits", t("Fits this model"));
    this.fits.hidden = true;
    this.favourites = this.#toggle("favourites", icon("star"));
    setAttributes(this.favourites, { "aria-label": t("Favourites only"), title: t("Favourites only") });
    this.base = this.#select("base", t("Base model"), [["", t("Any base model")]]);
    this.tag = this.#select("tag", t("Tag"), [["", t("Any tag")]]);
    for (const select of [this.base, this.tag]) select.hidden = true; // until there is something to choose
    this.order = this.#select("order", t("Order"), [
      ["used", t("Last used first")],
      ["name", t("By name")],
      ["date", t("Newest first")],
    ]);
    this.more = make("button", { type: "button", class: "lora-algebra-hidden", onclick: () => this.#showAll() });
    this.element = make(
      "div",
      { class: "lora-algebra-filters", role: "group", "aria-label": t("Filters") },
      ...[this.fits, this.favourites, this.base, this.tag, this.order, this.more],
    );
    this.#show();
  }

  /** @param {"fits" | "favourites"} key @param {Node | string} content */
  #toggle(key, content) {
    return make(
      "button",
      { type: "button", "data-filter": key, onclick: () => this.#set({ [key]: !this.narrowing[key] }) },
      content,
    );
  }

  /** @param {"base" | "tag" | "order"} key @param {string} label @param {[value: string, text: string][]} options */
  #select(key, label, options) {
    const select = make("select", { "aria-label": label, "data-filter": key });
    select.append(...options.map(([value, text]) => option(value, text)));
    select.addEventListener("change", () => this.#set({ [key]: select.value }));
    return select;
  }

  /** @param {Partial<Narrowing>} change */
  #set(change) {
    this.narrowing = { ...this.narrowing, ...change };
    try {
      localStorage.setItem(STORED, JSON.stringify(this.narrowing));
    } catch {
      // a full or closed store only forgets the choice
    }
    this.#show();
    this.changed();
  }

  #showAll() {
    const hadFocus = document.activeElement === this.more;
    this.#set(showingAll(this.narrowing));
    if (hadFocus) this.order.focus(); // what had the focus is gone
  }

  #show() {
    const { fits, favourites, base, tag, order } = this.narrowing;
    setAttributes(this.fits, { "aria-pressed": String(fits) });
    setAttributes(this.favourites, { "aria-pressed": String(favourites) });
    choose(this.base, base);
    choose(this.tag, tag);
    this.order.value = order;
  }

  /** Offers the base models and tags that files have. @param {Iterable<Glance>} glances */
  offer(glances) {
    const { bases, tags } = choicesIn(glances);
    fill(this.base, bases);
    fill(this.tag, tags);
    this.#show();
  }

  /** Offers the filter for a model, if it is known. @param {string[] | null} names of its architecture */
  offerModel(names) {
    this.fits.hidden = !names;
    if (names) setAttributes(this.fits, { title: t("Only LoRAs for {model}", { model: names.join(", ") }) });
  }

  /** Says how many files are hidden. @param {number} unfit those that only do not fit @param {number} hidden all of them */
  count(unfit, hidden) {
    this.more.hidden = !hidden;
    if (!hidden) return;
    const text =
      unfit === hidden
        ? t("{count} more do not fit", { count: unfit })
        : t("{count} more are hidden", { count: hidden });
    setText(this.more, text);
    setAttributes(this.more, { "aria-label": t("{text}: show all", { text }), title: t("Show all") });
  }
}

/** @param {string} value @param {string} text */
function option(value, text) {
  const element = make("option", {}, text);
  element.value = value;
  return element;
}

/** Renews what follows the first option. @param {HTMLSelectElement} select @param {[word: string, count: number][]} words */
function fill(select, words) {
  const state = JSON.stringify(words.slice(0, MOST_CHOICES));
  select.hidden = !words.length;
  if (select.dataset.shown === state) return; // an open list stays open
  select.dataset.shown = state;
  const options = words
    .slice(0, MOST_CHOICES)
    .map(([word, count]) => option(word, t("{name} ({count})", { name: printable(word), count })));
  select.replaceChildren(select.options[0], ...options);
}

/** Chooses a value, also one that no file has by now. @param {HTMLSelectElement} select @param {string} value */
function choose(select, value) {
  if (value) select.hidden = false;
  if (![...select.options].some((each) => each.value === value)) select.append(option(value, printable(value)));
  select.value = value;
  setAttributes(select, { "data-chosen": value !== "" });
}
