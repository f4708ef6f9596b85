/**
 * What became of a file, as sentences.
 *
 * @typedef {import("./runs.js").Outcome} Outcome
 */

import { t } from "./words.js";

/** @param {Outcome} outcome @returns {string[]} */
export function sentencesOn(outcome) {
  const { applied, found, model, warnings = [] } = outcome;
  const fit = model
    ? t("{applied} of {found} layers applied to {model}", { applied, found, model })
    : t("{applied} of {found} layers applied", { applied, found });
  const idle = foundOf(outcome, "model", (part) => !part.connected);
  const left = idle ? [t("{count} layers of the model not applied: no MODEL is connected", { count: idle })] : [];
  return [fit, ...left, ...warnings.map((warning) => warningOn(outcome, warning))];
}

/** By the code of a warning; of others there is only the sentence that came. */
const WARNINGS = {
  unknown_layers: (outcome) => t("Unknown to the model, not applied: {count} ({names})", unknown(outcome)),
  clip_not_connected: (outcome) =>
    t("{count} layers of the text encoder not applied: no CLIP is connected", { count: foundOf(outcome, "clip") }),
  no_clip_layers: () => t("It has nothing for the text encoder, so its text strength has no effect"),
  made_for_other: ({ base, model }) => t("Its notes say it was made for {base}; the model is {model}", { base, model }),
  alpha_zero: () => t("Some of its layers have alpha 0 and no effect"),
  scale_unread: () => t("Its notes on its scale cannot be read: taken as alpha = rank"),
};

/** @param {Outcome} outcome @param {{ code: string, text: string }} warning @returns {string} */
export const warningOn = (outcome, { code, text }) =>
  Object.hasOwn(WARNINGS, code) ? WARNINGS[code](outcome) : text;

function unknown({ unknown: count, first_unknown: names }) {
  return { count, names: names.join(", ") + (count > names.length ? ", …" : "") };
}

/** The layers of one part in the file. */
function foundOf({ parts }, part, fits = () => true) {
  return parts.find((each) => each.part === part && fits(each))?.found ?? 0;
}
