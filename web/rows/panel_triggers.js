/** The trigger words of a row's file, to be chosen and copied. */

import { triggerChoices, withToggled } from "../model/outcomes.js";
import { set } from "../model/value.js";
import { make } from "../page/elements.js";
import { t } from "../page/words.js";
import { copyButton, outside } from "./panel_parts.js";

/**
 * @param {import("../model/value.js").Row} row @param {import("../model/registry.js").RowsWidget} widget
 * @param {import("../library/library.js").Facts} facts
 */
export function triggerPart(row, widget, facts) {
  const stated = facts.stated_triggers;
  const chosen = row.triggers ?? stated;
  const choose =
    (change) =>
    ({ currentTarget }) =>
      edit(widget, currentTarget, (triggers) => change(triggers ?? stated));
  const words = triggerChoices(row, facts).map((choice) =>
    wordButton(
      choice,
      choose((triggers) => withToggled(triggers, choice.word)),
    ),
  );
  return make(
    "div",
    { class: "triggers", role: "group", "aria-label": t("Trigger words") },
    make("p", { class: "label" }, t("Trigger words")),
    ...(words.length ? words : [make("span", { class: "none" }, t("The file states none."))]),
    ownWord((field, word) => edit(widget, field, (triggers) => [...new Set([...(triggers ?? stated), word])])),
    ...(chosen.length ? [copyButton("triggers", chosen.join(", "), t("Copy the chosen trigger words"))] : []),
    ...(row.triggers ? [resetButton(({ currentTarget }) => edit(widget, currentTarget, () => undefined))] : []),
  );
}

/** Changes the words of the row that a control stands in, wherever that row is by now. */
function edit(widget, control, change) {
  const index = Number(control.closest("[data-index]").dataset.index);
  widget.edit((rows) => set(rows, index, { triggers: change(rows[index].triggers) }));
}

function wordButton({ word, count, chosen }, toggle) {
  const often = count === null ? [] : [make("small", { title: t("in {count} captions", { count }) }, String(count))];
  return make(
    "button",
    { type: "button", class: "word", "data-key": `word ${word}`, "aria-pressed": String(chosen), onclick: toggle },
    outside(word),
    ...often,
  );
}

/** A field for a word that the file does not tell. */
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

function resetButton(reset) {
  const title = t("Forget the choice, and use the words that the file states");
  return make("button", { type: "button", "data-key": "reset", title, onclick: reset }, t("As the file says"));
}
