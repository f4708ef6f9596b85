/** Shows the trigger words of a row's file, to choose and copy them. */

import { triggerChoices, withToggled } from "../model/outcomes.js";
import { set } from "../model/value.js";
import { make } from "../page/elements.js";
import { t } from "../page/words.js";
import { copyButton, outside } from "./panel_parts.js";

/**
 * @typedef {import("../model/registry.js").RowsWidget} RowsWidget
 * @typedef {string[] | undefined} Triggers undefined: as the file states them
 * @typedef {{ currentTarget: HTMLElement }} Pressed
 */

/**
 * @param {import("../model/value.js").Row} row @param {RowsWidget} widget
 * @param {{ triggers: import("../model/outcomes.js").Word[], stated_triggers: string[] }} facts of all files of the row
 */
export function triggerPart(row, widget, facts) {
  const stated = facts.stated_triggers;
  const chosen = row.triggers ?? stated;
  const words = triggerChoices(row, facts).map((choice) =>
    wordButton(choice, ({ currentTarget }) =>
      edit(widget, currentTarget, (triggers) => withToggled(triggers ?? stated, choice.word)),
    ),
  );
  return make(
    "div",
    { class: "triggers", role: "group", "aria-label": t("Trigger words") },
    make("p", { class: "label" }, t("Trigger words")),
    ...(words.length ? words : [make("span", { class: "none" }, t("The file has none."))]),
    ownWord((field, word) => edit(widget, field, (triggers) => [...new Set([...(triggers ?? stated), word])])),
    ...(chosen.length ? [copyButton("triggers", chosen.join(", "), t("Copy the chosen trigger words"))] : []),
    ...(row.triggers ? [resetButton(({ currentTarget }) => edit(widget, currentTarget, () => undefined))] : []),
  );
}

/**
 * Changes the words of the row that a control is in, wherever that row is by now.
 *
 * @param {RowsWidget} widget @param {Element} control @param {(triggers: Triggers) => Triggers} change
 */
function edit(widget, control, change) {
  const index = Number(control.closest("[data-index]")?.getAttribute("data-index"));
  widget.edit((rows) => set(rows, index, { triggers: change(rows[index].triggers) }));
}

/** @param {ReturnType<typeof triggerChoices>[number]} choice @param {(event: Pressed) => void} toggle */
function wordButton({ word, count, chosen }, toggle) {
  const often = count === null ? [] : [make("small", { title: t("in {count} captions", { count }) }, String(count))];
  return make(
    "button",
    { type: "button", class: "word", "data-key": `word ${word}`, "aria-pressed": String(chosen), onclick: toggle },
    outside(word),
    ...often,
  );
}

/** Makes a field for a word that the file does not tell. @param {(field: HTMLElement, word: string) => void} add */
function ownWord(add) {
  const label = t("Add a trigger word");
  const field = make("input", { type: "text", "data-key": "own word", "aria-label": label, placeholder: label });
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the host has commands on single keys
    const word = field.value.trim();
    if (event.key !== "Enter" || event.isComposing || !word) return;
    field.value = "";
    add(field, word);
  });
  return field;
}

/** @param {(event: Pressed) => void} reset */
function resetButton(reset) {
  const title = t("Clear the choice and use the file's own words");
  return make("button", { type: "button", "data-key": "reset", title, onclick: reset }, t("As in the file"));
}
