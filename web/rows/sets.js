/**
 * Sets of rows that the user has given a name: saved, loaded, added, renamed and deleted from a menu.
 *
 * They are in the host's user data, in `lora-algebra/lora_sets.json`: `{"version": 1, "sets": {NAME: ROWS}}`, where
 * ROWS is the list that a workflow keeps for LoRA Rows.
 */

import { copyRows, textOfRows } from "../interop/copy.js";
import { say } from "../interop/edit.js";
import { splitName } from "../model/filenames.js";
import * as edits from "../model/value.js";
import { askForName, isTaken, Kept, LONGEST_NAME, without } from "../page/kept.js";
import { openMenu } from "../page/menu.js";
import { printable } from "../page/text.js";
import { chooseFile, saveAsFile } from "../page/texts_out.js";
import { t } from "../page/words.js";
import { setsOfFile, VERSION } from "./set_files.js";

/** @typedef {import("../model/value.js").Row} Row */
/** @typedef {{ rows: () => Row[], edit: (change: (rows: Row[]) => Row[]) => void }} Host the list of a node */

/** @type {Kept<unknown>} what is no list stays as it is */
const SETS = new Kept("lora_sets.json", {
  read: readSets,
  write: (sets) => ({ version: VERSION, sets: Object.fromEntries(sets) }),
});

/** @param {unknown} json */
function readSets(json) {
  const { version, sets } = /** @type {{ version?: unknown, sets?: object }} */ (json ?? {});
  return version === VERSION && typeof sets === "object" ? new Map(Object.entries(sets ?? {})) : null;
}

/** @param {HTMLElement} opener @param {Host} host */
export async function openSets(opener, host) {
  const sets = await SETS.load();
  const unread = nothing(t("The sets cannot be read, or are of another version."));
  if (!sets) return openMenu(t("Sets"), [unread], opener, opener);
  const own = [...sets].map(([name, saved]) => {
    if (!Array.isArray(saved)) return nothing(t("{name}: of a newer version", { name: printable(name) }));
    const rows = edits.readValue(saved).rows.map(edits.withoutLink);
    return {
      text: t("{name} ({count})", { name: printable(name), count: rows.length }),
      action: () => openSet(opener, host, name, rows),
    };
  });
  const saving = { text: t("Save as set…"), action: () => saveAs(opener, host), disabled: !host.rows().length };
  const opening = { text: t("Open file…"), action: () => chooseFile(addFile) };
  openMenu(t("Sets"), [saving, opening, ...own], opener, opener);
}

/** @param {string} text */
const nothing = (text) => ({ text, action: () => {}, disabled: true });

/** Adds the sets of a file. Those whose names are taken stay as they are. @param {File} file */
async function addFile(file) {
  const found = await setsOfFile(file);
  if (!found.length) return;
  /** @type {string[]} */
  let added = [];
  const isSaved = await SETS.change((now) => {
    const all = new Map(now);
    for (const [name, rows] of found) if (!isTaken(all, name)) all.set(name, rows);
    added = [...all.keys()].filter((name) => !now.has(name));
    return added.length ? all : now;
  });
  if (isSaved && added.length)
    say("info", [t("Added to the sets: {names}", { names: added.map(printable).join(", ") })]);
}

/** @param {HTMLElement} opener @param {Host} host @param {string} name @param {Row[]} rows */
function openSet(opener, host, name, rows) {
  const add = (/** @type {Row[]} */ former) => edits.add(former, ...(former.length ? edits.withoutSolo(rows) : rows));
  const items = [
    { text: t("Replace the rows"), action: () => host.edit(() => edits.add([], ...rows)) },
    { text: t("Add to the rows"), action: () => host.edit(add) },
    { text: t("Save the rows here"), action: () => keep(name, host.rows()), disabled: !host.rows().length },
    { text: t("Copy"), action: () => void copyRows(rows) },
    { text: t("Save as file…"), action: () => saveAsFile(name, textOfRows(rows)) },
    { text: t("Rename…"), action: () => rename(opener, name) },
    { text: t("Delete"), action: () => void SETS.change((now) => without(now, name)) },
  ];
  openMenu(printable(name), items, opener, opener);
}

/** @param {string} name @param {Row[]} rows */
const keep = (name, rows) => void SETS.change((now) => new Map([...now, [name, rows.map(edits.withoutLink)]]));

/** @param {HTMLElement} opener @param {Host} host */
function saveAs(opener, host) {
  const rows = host.rows();
  const words = { title: t("Save as set…"), label: t("Name of the set"), value: proposedName(rows) };
  askForName(opener, words, (name) => SETS.add(name, rows.map(edits.withoutLink)));
}

/** Returns a name to begin with: that of the first LoRA, and how many more there are. @param {Row[]} rows */
function proposedName(rows) {
  const [first, ...others] = rows.filter(({ name }) => name);
  if (!first) return "";
  const more = others.length ? ` + ${others.length}` : "";
  return splitName(printable(first.name)).base.slice(0, LONGEST_NAME - more.length) + more;
}

/** Gives a set another name, in its place. @param {HTMLElement} opener @param {string} former */
function rename(opener, former) {
  const words = { title: t("Rename…"), label: t("Name of the set"), value: former };
  askForName(opener, words, (name) =>
    SETS.change((now) => {
      if (name === former || !now.has(former) || isTaken(now, name)) return now;
      return new Map([...now].map(([own, rows]) => [own === former ? name : own, rows]));
    }),
  );
}
