/** Says in sentences what became of a file. */

import { t } from "../page/words.js";

/** @param {import("../model/outcomes.js").Outcome} outcome */
export function sentencesOn(outcome) {
  const { applied, found, model, parts, warnings = [] } = outcome;
  const fit = model
    ? t("{applied} of {found} layers applied to {model}", { applied, found, model })
    : t("{applied} of {found} layers applied", { applied, found });
  const idle = parts.find(({ part, connected }) => part === "model" && !connected)?.found;
  const left = idle ? [t("{count} layers of the model not applied: no MODEL is connected", { count: idle })] : [];
  return [fit, ...left, ...warnings.map(warningText)];
}

/**
 * Says a warning in the user's language: the core has written the English sentence, by which the page finds the
 * translation.
 *
 * @param {import("../model/outcomes.js").Warning} warning
 */
export const warningText = ({ text, sentence, fields }) => (sentence ? t(sentence, fields) : text);
