/**
 * What became of a file, as sentences.
 *
 * @typedef {import("./runs.js").Outcome} Outcome
 */

import { t } from "../page/words.js";

/** @param {Outcome} outcome @returns {string[]} */
export function sentencesOn(outcome) {
  const { applied, found, model, warnings = [] } = outcome;
  const fit = model
    ? t("{applied} of {found} layers applied to {model}", { applied, found, model })
    : t("{applied} of {found} layers applied", { applied, found });
  const idle = foundOf(outcome, "model", (part) => !part.connected);
  const left = idle ? [t("{count} layers of the model not applied: no MODEL is connected", { count: idle })] : [];
  return [fit, ...left, ...warnings.map(warningText)];
}

/**
 * The core has worded it; the page finds the words of the user's language by the English ones.
 *
 * @param {import("./runs.js").Warning} warning from an older run, without what its text is made of
 * @returns {string}
 */
export const warningText = ({ text, sentence, fields }) => (sentence ? t(sentence, fields) : text);

/** The layers of one part in the file. */
function foundOf({ parts }, part, fits = () => true) {
  return parts.find((each) => each.part === part && fits(each))?.found ?? 0;
}
