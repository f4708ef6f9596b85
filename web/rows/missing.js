/** Finds what could be meant by rows whose file the host does not list. */

import { library } from "../library/library.js";
import { splitName } from "../model/filenames.js";
import { identityOf } from "../model/value.js";
import { t } from "../page/words.js";
import { warningText } from "../runs/sentences.js";

/**
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {{ why: string, names: string[], sure: boolean, said?: string }} Offers
 *   `sure`: the file is the same; `said`: what is said of the file that a run uses all the same
 */

/** @param {Row} row */
export const isMissing = ({ name }) => Boolean(name && library.names && library.listed(name) === undefined);

/**
 * Returns what could be used instead, as far as it is known by now.
 *
 * @param {Row} row
 * @param {() => void} later is called when more is known
 * @returns {Offers}
 */
export function offersFor(row, later) {
  const query = identityOf(row);
  const answer = library.answer(row.name, query);
  if (answer === undefined) library.ask(row.name, query).then(later);
  const said = (answer?.warnings ?? []).map(warningText).join("\n");
  if (answer?.name && answer.how === "content")
    return offer(t("The same file is here now:"), [answer.name], true, said);
  if (answer?.name) return offer(t("The only file of this name:"), [answer.name], false, said);
  const close = answer?.close ?? library.sameBase(row.name);
  return offer(close.length ? t("Similar names:") : t("There is no file with a similar name."), close, false);
}

/** @param {string} why @param {string[]} names @param {boolean} sure @param {string} [said] @returns {Offers} */
const offer = (why, names, sure, said) => ({ why, names, sure, said });

/**
 * Shows offers as buttons.
 *
 * @param {HTMLElement} element @param {Offers} offers @param {(name: string) => HTMLElement} button
 */
export function fillOffers(element, { why, names }, button) {
  const state = JSON.stringify([why, names]);
  if (element.dataset.shown === state) return; // a button that has the focus keeps it
  element.dataset.shown = state;
  element.replaceChildren(why, ...names.map(button));
}

/** Returns a name with its folder, without its suffix. @param {string} name */
export function pathName(name) {
  const { folder, base } = splitName(name);
  return folder + base;
}

/** Returns what a row's file is called in the labels of its controls. @param {Row} row */
export const shortName = ({ name }) => (name ? splitName(name).base : t("a row without a file"));
