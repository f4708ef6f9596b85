/**
 * Shows below a row what is in its file. Whatever comes from files is text, however it looks.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../model/registry.js").RowsWidget} RowsWidget
 * @typedef {import("../library/library.js").Facts} Facts
 */

import { app } from "../../../scripts/app.js";

import { knownFacts, wholeFacts } from "../library/facts.js";
import { overview } from "../library/overview.js";
import { splitName } from "../model/filenames.js";
import { wordsOf } from "../model/outcomes.js";
import { asLow } from "../model/sides.js";
import { make } from "../page/elements.js";
import { setting } from "../page/settings.js";
import { loadStyle } from "../page/style.js";
import { short, sizeText } from "../page/text.js";
import { t } from "../page/words.js";
import { recommendedText, runSentences } from "../runs/feedback.js";
import { copyButton, link, outside, sentence, words } from "./panel_parts.js";
import { triggerPart } from "./panel_triggers.js";

const HASH_SHOWN = 12; // digits, as Civitai shows them

/** What each panel shows, to see when that has changed. @type {WeakMap<HTMLElement, string>} */
const drawn = new WeakMap();

app.registerExtension({ name: "LoraAlgebra.Panel", init: () => loadStyle("rows/panel.css") });

/**
 * Fills a panel. Call it again whenever its row is drawn.
 *
 * @param {HTMLElement} panel @param {Row} row @param {RowsWidget} widget @param {number} index
 */
export function fillPanel(panel, row, widget, index) {
  const files = filesOf(row);
  const state = JSON.stringify([row.triggers, index, files.map((file, at) => stateOf(panel, file, widget, at))]);
  if (drawn.get(panel) === state) return;
  drawn.set(panel, state);
  const wereOpen = folded(panel).map(({ open }) => open);
  const former = panel.dataset.file === row.name ? controls(panel) : new Map();
  panel.dataset.file = row.name;
  panel.classList.add("lora-algebra-panel");
  panel.replaceChildren(...(row.low ? pairContents(row, widget) : contents(row, widget, triggersOf(row, widget))));
  for (const [at, details] of folded(panel).entries()) details.open = wereOpen[at] ?? false;
  for (const [key, twin] of controls(panel)) {
    const control = former.get(key);
    if (control) keep(control, twin);
  }
}

/** Returns a row for each of its files, as the models see it that get the file. @param {Row} row */
const filesOf = (row) => (row.low ? [row, asLow(row)] : [row]);

/**
 * Asks for what is in a file, and returns what is known of it.
 *
 * @param {HTMLElement} panel @param {Row} row @param {RowsWidget} widget @param {number} at its place among those of a pair
 */
function stateOf(panel, row, widget, at) {
  const reply = knownFacts(row);
  askForWhole(panel, row, widget, at);
  return [row.name, reply, runSentences(widget.node, row)];
}

/** @param {HTMLElement} panel */
const folded = (panel) => [...panel.querySelectorAll("details")];

/** Returns the controls of a panel by their keys. @param {HTMLElement} panel @returns {Map<string | null, Element>} */
const controls = (panel) =>
  new Map([...panel.querySelectorAll("[data-key]")].map((each) => [each.getAttribute("data-key"), each]));

/**
 * Keeps a control in place of its new twin, since it may have the focus.
 *
 * @param {Element} control @param {Element} twin
 */
function keep(control, twin) {
  for (const { name, value } of twin.attributes) control.setAttribute(name, value);
  control.replaceChildren(...twin.childNodes);
  twin.replaceWith(control);
}

/**
 * Asks for everything, the hash too, and shows it when it comes.
 *
 * @param {HTMLElement} panel @param {Row} row @param {RowsWidget} widget @param {number} at
 */
async function askForWhole(panel, row, widget, at) {
  const asked = at ? "askedLow" : "asked";
  const isAsked = panel.dataset[asked] === row.name && knownFacts(row) !== undefined;
  if (!row.name || isAsked) return;
  panel.dataset[asked] = row.name;
  await Promise.all([wholeFacts(row), overview.load()]);
  drawn.delete(panel);
  widget.refresh();
}

/** Shows both files of a pair, and the trigger words of both once. @param {Row} row @param {RowsWidget} widget */
function pairContents(row, widget) {
  const [high, low] = filesOf(row);
  return [
    make("p", { class: "label" }, t("High noise")),
    ...contents(high, widget, triggersOf(row, widget)),
    make("p", { class: "label" }, t("Low noise")),
    ...contents(low, widget, [], "low "),
  ];
}

/** @param {Row} row @param {RowsWidget} widget */
function triggersOf(row, widget) {
  const facts = filesOf(row).flatMap((file) => knownFacts(file)?.facts ?? []);
  return [triggerPart(row, widget, wordsOf(facts))];
}

/**
 * @param {Row} row @param {RowsWidget} widget @param {HTMLElement[]} triggers
 * @param {string} [key] what the keys of its controls begin with
 */
function contents(row, widget, triggers, key = "") {
  const reply = knownFacts(row);
  if (!row.name) return [sentence(t("No file is chosen yet."))];
  if (reply === undefined) return [sentence(t("Reading the file…"))];
  if (reply === null) return [sentence(t("ComfyUI does not say what is in this file."), "error")];
  if (!reply.name) return [sentence(t("ComfyUI does not have this file."), "error"), fileRow(row.name)];
  if (!reply.facts) return [sentence(reply.error ?? "", "error"), fileRow(reply.name)];
  const { facts, name } = reply;
  const run = runSentences(widget.node, row);
  return [
    make("div", { class: "top" }, ...pictureOf(name), heading(facts, run)),
    factList(facts),
    ...triggers,
    ...words(t("Description"), facts.description),
    ...words(t("Notes"), facts.notes),
    fileRow(name, facts, key),
    ...metadataPart(facts.metadata, key),
  ];
}

/** @param {string} name of the file */
function pictureOf(name) {
  const source = overview.picture(name);
  if (!source) return [];
  const picture = make("img", { src: source, alt: t("Preview of {name}", { name: splitName(name).base }) });
  picture.style.height = `${setting("PreviewSize")}px`;
  picture.addEventListener("error", () => {
    overview.hasNoPicture(name);
    picture.remove();
  });
  return [picture];
}

/** Shows title, author, and what became of the file. @param {Facts} facts @param {string[]} run */
function heading({ title, author }, run) {
  const by = author ? t("by {author}", { author }) : "";
  const parts = [...(title ? [make("b", {}, outside(title))] : []), ...(by ? [outside(by)] : []), ...run.map(outside)];
  return make("div", { class: "heading" }, ...parts.map((part) => make("p", {}, part)));
}

/** @param {Facts} facts */
function factList(facts) {
  const entries = pairs(facts).flatMap(([label, text]) => [make("dt", {}, label), make("dd", {}, outside(text))]);
  return make("dl", {}, ...entries);
}

/** @param {Facts} facts @returns {[label: string, text: string][]} */
function pairs(facts) {
  const layers = t("{model} of the model, {clip} of the text encoder", {
    model: facts.model_layers,
    clip: facts.clip_layers,
  });
  /** @type {[label: string, text: string][]} */
  const all = [
    [t("Made for"), facts.base ?? ""],
    [t("Kind"), [facts.families.join(" + "), rankText(facts.ranks)].filter(Boolean).join(", ")],
    [t("Layers"), layers],
    [t("Recommended"), facts.recommended ? recommendedText(facts.recommended) : ""],
    [t("Trained with"), facts.trainer ?? ""],
    [t("Layer names"), facts.dialects.join(", ")],
  ];
  return all.filter(([, text]) => text);
}

/** @param {[number, number] | null} ranks */
function rankText(ranks) {
  if (!ranks) return "";
  const [low, high] = ranks;
  return t("rank {rank}", { rank: low === high ? short(low) : `${short(low)}–${short(high)}` });
}

/**
 * Shows where the file is, and by what its content can be found.
 *
 * @param {string} name @param {Facts} [facts] @param {string} [key]
 */
function fileRow(name, facts, key = "") {
  /** @param {string} what @param {HTMLElement} shown @param {string} text @param {string} label */
  const copied = (what, shown, text, label) => make("span", {}, shown, copyButton(key + what, text, label));
  /** @type {(HTMLElement | string)[]} */
  const parts = [copied("name", make("code", {}, outside(name)), name, t("Copy the file's name"))];
  if (facts) parts.push(sizeText(facts.size));
  if (facts?.hash) {
    const digits = make("code", { title: facts.hash }, facts.hash.slice(0, HASH_SHOWN));
    parts.push(copied("hash", digits, facts.hash, t("Copy the hash of the content (AutoV3)")));
  }
  if (facts?.civitai) parts.push(link(facts.civitai, "Civitai"));
  return make("p", { class: "file" }, ...parts);
}

/** @param {Record<string, string>} metadata @param {string} key */
function metadataPart(metadata, key) {
  const entries = Object.entries(metadata);
  if (!entries.length) return [];
  const rows = entries.map(([key, text]) =>
    make("tr", {}, make("th", { scope: "row" }, outside(key)), make("td", {}, outside(text))),
  );
  const summary = make("summary", { "data-key": `${key}metadata` }, t("Metadata ({count})", { count: entries.length }));
  return [make("details", {}, summary, make("div", { class: "long", tabindex: 0 }, make("table", {}, ...rows)))];
}
