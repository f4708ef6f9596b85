/** The menu of a row for two models: which of them gets it, and with which file. */

import { library } from "../library/library.js";
import { otherHalf, sideOf } from "../model/pairs.js";
import * as sides from "../model/sides.js";
import { openMenu } from "../page/menu.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";
import { shortName } from "./missing.js";
import { openPicker } from "./picker.js";

/** @typedef {import("./row.js").RowView} RowView @typedef {import("../page/menu.js").Item} Item */

/** @param {RowView} view of the row @param {HTMLElement} opener */
export function openNoiseMenu(view, opener) {
  const name = shortName(view.row);
  const own = view.row.low ? pairItems(view) : singleItems(view, opener);
  openMenu(t("High and low noise, {name}", { name }), [...own, ...modelItems(view)], opener, opener);
}

/** @param {RowView} view @returns {Item[]} */
function pairItems(view) {
  const apart = view.row.low?.strength !== undefined;
  return [
    { text: apart ? t("One strength") : t("Two strengths"), action: () => view.edit(sides.toggleLowStrength) },
    { text: t("Swap"), action: () => view.edit(sides.swap), disabled: apart && Boolean(view.row.link) },
    { text: t("Split into two rows"), action: () => view.edit(sides.split) },
    { text: t("Remove the file for low noise"), action: () => view.edit(sides.removeLow) },
  ];
}

/** @param {RowView} view @param {HTMLElement} opener @returns {Item[]} */
function singleItems(view, opener) {
  const { row, index, list } = view;
  const rows = list.widget.rows();
  const half = rows[sides.halfIn(rows, index)];
  const text = sideOf(row.name) === "low" ? t("Add the file for high noise") : t("Add the file for low noise");
  const join = half && t("Join with {name}", { name: printable(shortName(half)) });
  return [
    { text, action: () => addHalf(view, opener), disabled: !row.name },
    ...(join ? [{ text: join, action: () => view.edit(sides.join) }] : []),
  ];
}

/** @param {RowView} view @returns {Item[]} */
function modelItems(view) {
  /** @param {string} text @param {import("../model/pairs.js").Side} [only] */
  const item = (text, only) => ({
    text,
    action: () => view.edit(sides.setOnly, only),
    disabled: view.row.only === only,
  });
  return [
    item(t("Only in the high-noise model"), "high"),
    item(t("Only in the low-noise model"), "low"),
    item(t("In both models")),
  ];
}

/** Adds the other half of a pair: by its name, or as the user chooses it. @param {RowView} view @param {HTMLElement} opener */
function addHalf(view, opener) {
  const { name } = view.row;
  const change = sideOf(name) === "low" ? sides.addHigh : sides.renameLow;
  const add = async (/** @type {string} */ half) => view.edit(change, half, await view.list.identify(half));
  const half = otherHalf(name, library.names ?? []);
  if (half) add(half);
  else openPicker(opener, { node: view.list.node, current: name, onPick: add });
}
