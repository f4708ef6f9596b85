/**
 * Shows below a row what is in its file. Whatever comes from files is text, however it looks.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../model/registry.js").RowsWidget} RowsWidget
 * @typedef {import("../library/library.js").Facts} Facts
 * @typedef {import("../library/library.js").Reply} Reply
 */

import { app } from "../../../scripts/app.js";

import { knownFacts, wholeFacts } from "../library/facts.js";
import { overview } from "../library/overview.js";
import { splitName } from "../model/filenames.js";
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
  const reply = knownFacts(row);
  askForWhole(panel, row, widget);
  const state = JSON.stringify([row.name, row.triggers, index, reply, runSentences(widget.node, row)]);
  if (drawn.get(panel) === state) return;
  drawn.set(panel, state);
  const wasOpen = panel.querySelector("details")?.open ?? false;
  const former = panel.dataset.file === row.name ? controls(panel) : new Map();
  panel.dataset.file = row.name;
  panel.classList.add("lora-algebra-panel");
  panel.replaceChildren(...contents(row, widget, reply));
  panel.querySelector("details")?.toggleAttribute("open", wasOpen);
  for (const [key, twin] of controls(panel)) {
    const control = former.get(key);
    if (control) keep(control, twin);
  }
}

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
 * @param {HTMLElement} panel @param {Row} row @param {RowsWidget} widget
 */
async function askForWhole(panel, row, widget) {
  const isAsked = panel.dataset.asked === row.name && knownFacts(row) !== undefined;
  if (!row.name || isAsked) return;
  panel.dataset.asked = row.name;
  await Promise.all([wholeFacts(row), overview.load()]);
  drawn.delete(panel);
  widget.refresh();
}

/** @param {Row} row @param {RowsWidget} widget @param {Reply | null | undefined} reply */
function contents(row, widget, reply) {
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
    triggerPart(row, widget, facts),
    ...words(t("Description"), facts.description),
    ...words(t("Notes"), facts.notes),
    fileRow(name, facts),
    ...metadataPart(facts.metadata),
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

/** Shows where the file is, and by what its content can be found. @param {string} name @param {Facts} [facts] */
function fileRow(name, facts) {
  /** @param {string} key @param {HTMLElement} shown @param {string} text @param {string} label */
  const copied = (key, shown, text, label) => make("span", {}, shown, copyButton(key, text, label));
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

/** @param {Record<string, string>} metadata */
function metadataPart(metadata) {
  const entries = Object.entries(metadata);
  if (!entries.length) return [];
  const rows = entries.map(([key, text]) =>
    make("tr", {}, make("th", { scope: "row" }, outside(key)), make("td", {}, outside(text))),
  );
  const summary = make("summary", { "data-key": "metadata" }, t("Metadata ({count})", { count: entries.length }));
  return [make("details", {}, summary, make("div", { class: "long", tabindex: 0 }, make("table", {}, ...rows)))];
}
