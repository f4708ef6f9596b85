/** The names of block weights that the host knows: those that the node LoRABlockWeights offers. */

import { app } from "../../../scripts/app.js";

const NODE = "LoRABlockWeights";
const CUSTOM = "custom"; // no preset

/** @type {string[]} */
let names = [];

app.registerExtension({
  name: "LoraAlgebra.Presets",
  beforeRegisterNodeDef(_type, { name, input }) {
    if (name === NODE) names = optionsOf(input?.optional?.preset).filter((option) => option !== CUSTOM);
  },
});

/** In the order in which the node offers them. */
export const presets = () => names;

/** @param {Host.InputSpec | undefined} spec @returns {string[]} */
function optionsOf(spec) {
  const [type, options] = spec ?? [];
  const listed = Array.isArray(type) ? type : options?.options; // hosts send a combo in either form
  return Array.isArray(listed) ? listed.map(String) : [];
}
