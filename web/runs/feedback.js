/**
 * What became of every row in the last run, and what its file says of its strength.
 *
 * @typedef {import("../model/value.js").Row} Row
 * @typedef {import("../model/outcomes.js").Outcome} Outcome
 * @typedef {import("../model/outcomes.js").Recommended} Recommended
 * @typedef {{ state: import("../model/outcomes.js").State, text: string, title: string }} Shown
 * @typedef {{ apply: Host.Node, via: import("./upstream.js").Via }} Applied by which node, and how the rows come to it
 */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

import { factsSoon, knownFacts } from "../library/facts.js";
import { library } from "../library/library.js";
import { sameName } from "../model/filenames.js";
import { against, counts, outcomesNamed, worst } from "../model/outcomes.js";
import { refreshAll, rowsWidgets, widgetOf } from "../model/registry.js";
import { sidesOf } from "../model/sides.js";
import { printable, short } from "../page/text.js";
import { loadWords, t } from "../page/words.js";
import { applies, applyNodes, follow, isStale, outputOf, placeOf, usesLow } from "./runs.js";
import { sentencesOn, warningText } from "./sentences.js";
import { rowsAbove } from "./upstream.js";

/**
 * Warnings that the node and the row show, but no toast: many people leave CLIP unconnected on purpose, and a folder
 * that has been moved would make one toast for each file.
 */
const QUIET = ["clip_not_connected", "found_by_content", "found_by_basename"];

/** Nodes that say with `text` what they have not understood. */
const READERS = ["FromLoRAStack", "FromLoRATags"];

/**
 * Rows node -> the Apply nodes below it, as the links were after the last run.
 *
 * @type {Map<Host.Node, Applied[]>}
 */
let appliedBy = new Map();

/**
 * What was refused: the place of a node -> the file and the sentence.
 *
 * @type {Map<string, { file: string, message: string }>}
 */
const refusals = new Map();

/** Files and codes of which the user has been warned. @type {Set<string>} */
const warned = new Set();

let looking = false;

app.registerExtension({
  name: "LoraAlgebra.Feedback",

  init: loadWords,

  setup() {
    follow(forgetRefusal);
    follow(lookAgain);
    api.addEventListener("execution_start", forgetRefusedRows);
    api.addEventListener("reconnected", () => library.renew().then(refreshAll)); // what failed is asked again
    api.addEventListener("lora_algebra.refused", ({ detail }) => rememberRefusal(detail));
    api.addEventListener("executed", ({ detail: { output, display_node: shown, node } }) =>
      // a node that had nothing to do sends null
      warn(output ?? {}, nodeAt(String(shown ?? node))),
    );
  },
});

/** @param {Host.Node} node @param {Row} row @returns {Shown | undefined} */
export function outcomeOf(node, row) {
  const rows = widgetOf(node)?.rows() ?? [];
  if (!counts(row, rows)) return undefined;
  if (isIdle(node, row)) return { state: "none", text: t("not used"), title: idleSentence() };
  const run = lastRun(node, row);
  const advice = row.link ? undefined : adviceFor(row, factsSoon(row)?.facts?.recommended);
  if (!advice) return run;
  const text = [run?.text, advice.text].filter(Boolean).join(" ");
  return { state: run?.state ?? "none", text, title: [run?.title, advice.title].filter(Boolean).join("\n") };
}

/** Whether a row is for low noise alone, and nothing gets that. @param {Host.Node} node @param {Row} row */
const isIdle = (node, row) => row.only === "low" && !usesLow(node);

const idleSentence = () => t("This file goes nowhere: neither model_low nor LORA low is connected.");

/**
 * Says what to know of a row whose strength is beyond what its file recommends.
 *
 * @param {Row} row @param {Recommended | null} [recommended]
 * @returns {{ text: string, title: string } | undefined}
 */
function adviceFor(row, recommended) {
  const side = against(row.strength, recommended);
  if (!side || !recommended) return undefined;
  const values = { strength: short(row.strength), recommended: recommendedText(recommended) };
  return side === "above"
    ? { text: "↑", title: t("{strength} is above what the file recommends: {recommended}", values) }
    : { text: "↓", title: t("{strength} is below what the file recommends: {recommended}", values) };
}

/** Writes "0.6", "0.6 to 0.8" or "0.7 (0.6 to 0.8)". @param {Recommended} recommended */
export function recommendedText({ strength, least, most }) {
  const range = rangeText(least, most);
  if (strength === null) return range;
  return least !== null && most !== null ? `${short(strength)} (${range})` : short(strength);
}

/** @param {number | null} least @param {number | null} most */
function rangeText(least, most) {
  if (least !== null && most !== null) return t("{least} to {most}", { least: short(least), most: short(most) });
  if (least !== null) return t("at least {least}", { least: short(least) });
  return most === null ? "" : t("at most {most}", { most: short(most) });
}

/**
 * Returns what the node of a row and the Apply nodes below it have made of it.
 *
 * @param {Host.Node} node @param {Row} row @returns {Shown | undefined}
 */
const lastRun = (node, row) =>
  worst(
    [refusedBy(node, row), ...(appliedBy.get(node) ?? []).map((applied) => ofRun(applied, row))].filter(
      (shown) => shown !== undefined,
    ),
  );

/** Returns the same as sentences, none before a run. @param {Host.Node} node @param {Row} row */
export const runSentences = (node, row) => lastRun(node, row)?.title.split("\n") ?? [];

/** @param {Row} row */
const namesOf = (row) => [row.name, knownFacts(row)?.name ?? ""].filter(Boolean);

/** @param {Host.Node} node that may have refused it @param {Row} row @returns {Shown | undefined} */
function refusedBy(node, row) {
  const refusal = node.graph && refusals.get(placeOf(node)); // a node is filled before it has a place
  if (!refusal || namesOf(row).every((name) => sameName(name) !== sameName(refusal.file))) return undefined;
  return { state: "refused", text: t("refused"), title: printable(refusal.message) };
}

/**
 * Returns what one Apply node says of a row, in the models that get it.
 *
 * @param {Applied} applied @param {Row} row @returns {Shown | undefined}
 */
function ofRun({ apply, via }, row) {
  const sides = sidesOf(row);
  const isMeant = (/** @type {Outcome} */ { side }) => sides.includes(via === "own" ? (side ?? "high") : via);
  const outcomes = outcomesNamed((outputOf(apply)?.loras ?? []).filter(isMeant), namesOf(row));
  const outcome = worst(outcomes);
  if (!outcome || refusedBy(apply, row)) return refusedBy(apply, row);
  const text = `${outcome.applied}/${outcome.found}`;
  const title = [...new Set(outcomes.flatMap(sentencesOn))].map(printable).join("\n");
  return isStale(apply) ? { state: "stale", text, title } : { state: outcome.state, text, title };
}

/** Finds out which rows belong to which Apply node, and draws them. Many events in one frame cause it once. */
function lookAgain() {
  if (looking) return;
  looking = true;
  requestAnimationFrame(() => {
    looking = false;
    appliedBy = new Map();
    for (const apply of applyNodes())
      for (const { node, via } of rowsAbove(apply))
        appliedBy.set(node, [...(appliedBy.get(node) ?? []), { apply, via }]);
    refreshAll();
  });
}

/** @param {{ node: string | null, file: string | null, message: string }} detail */
function rememberRefusal({ node, file, message }) {
  if (!file) return;
  const known = node === null ? undefined : nodeAt(String(node));
  for (const refusing of known ? [known] : applyNodes()) refusals.set(placeOf(refusing), { file, message });
  lookAgain();
}

/** A new run, or its result, has the last word. @param {Host.Node} apply */
function forgetRefusal(apply) {
  if (isStale(apply) || outputOf(apply)) refusals.delete(placeOf(apply));
}

/** The same for the nodes of rows, which may refuse a file by themselves. */
function forgetRefusedRows() {
  for (const { node } of rowsWidgets()) refusals.delete(placeOf(node));
  lookAgain();
}

/** Returns the node that the host calls so: "6:4" is node 4 of the subgraph in node 6. @param {string} executionId */
function nodeAt(executionId) {
  const ids = executionId.split(":");
  /** @type {Host.Graph | undefined} */
  let graph = app.rootGraph;
  for (const id of ids.slice(0, -1)) graph = graph?.getNodeById(id)?.subgraph;
  return graph?.getNodeById(ids.at(-1)) ?? undefined;
}

/**
 * Shows warnings about files. On Apply nodes they also stay in the report and on the rows.
 *
 * @param {import("./runs.js").Output} output @param {Host.Node | undefined} node
 */
function warn({ loras = [], text = [] }, node) {
  for (const outcome of applies(node?.comfyClass) ? loras : [])
    for (const warning of outcome.warnings ?? [])
      if (!QUIET.includes(warning.code))
        warnOnce(`${outcome.name} ${warning.code}`, outcome.name, warningText(warning));
  if (node && READERS.includes(node.comfyClass ?? "")) for (const line of text) warnOnce(line, node.title, line);
}

/** @param {string} key @param {string} summary @param {string} detail */
function warnOnce(key, summary, detail) {
  if (warned.has(key)) return;
  warned.add(key);
  const said = { summary: printable(summary), detail: printable(detail) };
  app.extensionManager.toast.add({ severity: "warn", ...said, life: 10_000 });
}
