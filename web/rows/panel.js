/**
 * Shows below a row what is in its file. Whatever comes from files is text, however it looks.
 *
 * @typedef {import("./registry.js").Row} Row
 * @typedef {import("./registry.js").RowsWidget} RowsWidget
 * @typedef {import("../facts.js").Facts} Facts
 * @typedef {import("../facts.js").Reply} Reply
 */

import { knownFacts, wholeFacts } from "../facts.js";
import { recommendedText, runSentences } from "../feedback.js";
import { library } from "../library.js";
import { setting } from "../settings.js";
import { short, sizeText } from "../text.js";
import { t } from "../words.js";
import { make } from "./elements.js";
import { copyButton, outside, sentence, words } from "./panel_parts.js";
import { triggerPart } from "./panel_triggers.js";
import { splitName } from "./value.js";

const HASH_SHOWN = 12; // digits, as Civitai shows them

/** What a panel shows, to know when to draw it anew. @type {WeakMap<HTMLElement, string>} */
const drawn = new WeakMap();

/**
 * Fills a panel; to be called again whenever its row is drawn.
 *
 * @param {HTMLElement} panel @param {Row} row @param {RowsWidget} widget @param {number} index
 */
export function fillPanel(panel, row, widget, index) {
  const reply = knownFacts(row);
  if (!reply?.facts?.hash) wholeFactsInto(panel, row, widget, index);
  const state = JSON.stringify([row.name, row.triggers, index, reply, runSentences(widget.node, row)]);
  if (drawn.get(panel) === state) return;
  drawn.set(panel, state);
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const wasOpen = panel.querySelector("details")?.open ?? false;
  panel.classList.add("lora-algebra-panel");
  panel.replaceChildren(...contents(row, widget, index, reply));
  if (wasOpen) panel.querySelector("details")?.setAttribute("open", "");
  if (focused) [...panel.querySelectorAll("[data-key]")].find(({ dataset }) => dataset.key === focused)?.focus();
}

/** Asks for all of it, the hash too, and shows that, if the panel is there still. */
async function wholeFactsInto(panel, row, widget, index) {
  if (!row.name || panel.dataset.asked === row.name) return;
  panel.dataset.asked = row.name;
  const reply = await wholeFacts(row);
  if (reply === null) drawn.delete(panel);
  const now = widget.rows()[index];
  if (panel.isConnected && now?.name === row.name) fillPanel(panel, now, widget, index);
}

/** @param {Row} row @param {RowsWidget} widget @param {number} index @param {Reply | null | undefined} reply */
function contents(row, widget, index, reply) {
  if (!row.name) return [sentence(t("No file is chosen yet."))];
  if (reply === undefined) return [sentence(t("Reading the file…"))];
  if (reply === null) return [sentence(t("The host does not tell what is in this file."), "error")];
  if (reply.error) return [sentence(reply.error, "error"), fileRow(row.name)];
  if (!reply.facts) return [sentence(t("This file is not on the host."), "error"), fileRow(row.name)];
  const { facts, name } = reply;
  return [
    make("div", { class: "top" }, ...pictureOf(name), heading(facts, row, widget)),
    triggerPart(row, widget, index, facts),
    ...words(t("Description"), facts.description),
    ...words(t("Notes"), facts.notes),
    fileRow(name, facts),
    ...metadataPart(facts.metadata),
  ].filter(Boolean);
}

/** @param {string} name of the file */
function pictureOf(name) {
  const source = library.picture(name);
  if (!source) return [];
  const picture = make("img", { src: source, alt: t("Preview of {name}", { name: splitName(name).base }) });
  picture.style.height = `${setting("PreviewSize")}px`;
  picture.addEventListener("error", () => {
    library.hasNoPicture(name);
    picture.remove();
  });
  return [picture];
}

/** Title, author, and the facts in two columns. @param {Facts} facts */
function heading(facts, row, widget) {
  const by = facts.author ? t("by {author}", { author: facts.author }) : "";
  const title = [facts.title && make("b", {}, outside(facts.title)), by && outside(by)];
  const list = make("dl", {}, ...pairs(facts, row, widget).flatMap(([label, text]) => [
    make("dt", {}, label),
    make("dd", {}, outside(text)),
  ]));
  return make("div", { class: "facts" }, make("p", { class: "title" }, ...title.filter(Boolean)), list);
}

/** @returns {[label: string, text: string][]} */
function pairs(facts, row, widget) {
  const layers = t("{model} of the model, {clip} of the text encoder", {
    model: facts.model_layers,
    clip: facts.clip_layers,
  });
  return [
    [t("Last run"), runSentences(widget.node, row).join("\n")],
    [t("Made for"), facts.base],
    [t("Kind"), [facts.families.join(" + "), rankText(facts.ranks)].filter(Boolean).join(", ")],
    [t("Layers"), layers],
    [t("Recommended strength"), facts.recommended && recommendedText(facts.recommended)],
    [t("Trained with"), facts.trainer],
    [t("Layer names"), facts.dialects.join(", ")],
  ].filter(([, text]) => text);
}

function rankText(ranks) {
  if (!ranks) return "";
  const [low, high] = ranks;
  return t("rank {rank}", { rank: low === high ? short(low) : `${short(low)}–${short(high)}` });
}

/** Where the file is, and by what its content can be found. @param {string} name @param {Facts} [facts] */
function fileRow(name, facts) {
  const parts = [make("code", {}, outside(name)), copyButton("name", name, t("Copy the file's name"))];
  if (facts) parts.push(make("span", {}, sizeText(facts.size)));
  if (facts?.hash)
    parts.push(
      make("code", { title: facts.hash }, facts.hash.slice(0, HASH_SHOWN)),
      copyButton("hash", facts.hash, t("Copy the hash of the content (AutoV3)")),
    );
  return make("p", { class: "file" }, ...parts);
}

/** @param {Record<string, string>} metadata */
function metadataPart(metadata) {
  const entries = Object.entries(metadata);
  if (!entries.length) return [];
  const rows = entries.map(([key, text]) =>
    make("tr", {}, make("th", { scope: "row" }, outside(key)), make("td", {}, outside(text))));
  const summary = make("summary", { "data-key": "metadata" }, t("Metadata ({count})", { count: entries.length }));
  return [make("details", {}, summary, make("div", { class: "long", tabindex: 0 }, make("table", {}, ...rows)))];
}
