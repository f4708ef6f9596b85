/** What a user can set. Names and tooltips in other languages are in locales/<language>/settings.json. */

import { app } from "../../../scripts/app.js";

import { refreshAll } from "../model/registry.js";

const TAB = "LoRA Algebra";
const GROUP = "Rows";

/** In the order of the dialog. @type {(Omit<Host.Setting, "id"> & { key: string })[]} */
const SETTINGS = [
  {
    key: "Step",
    name: "Strength step",
    tooltip: "How much one step of the wheel or an arrow key changes a strength",
    type: "number",
    defaultValue: 0.05,
    attrs: { min: 0.001, max: 1, step: 0.01, minFractionDigits: 0, maxFractionDigits: 3 },
  },
  {
    key: "Least",
    name: "Lowest strength by drag",
    tooltip: "Where dragging and the wheel stop. Lower strengths can be typed",
    type: "number",
    defaultValue: -1,
    attrs: { min: -100, max: 0, step: 0.5, minFractionDigits: 0, maxFractionDigits: 2 },
  },
  {
    key: "Most",
    name: "Highest strength by drag",
    tooltip: "Where dragging and the wheel stop. Higher strengths can be typed",
    type: "number",
    defaultValue: 2,
    attrs: { min: 0.1, max: 100, step: 0.5, minFractionDigits: 0, maxFractionDigits: 2 },
  },
  {
    key: "TextStrength",
    name: "Show text strength on every row",
    tooltip: "Otherwise only rows that have one of their own show it",
    type: "boolean",
    defaultValue: false,
  },
  {
    key: "Recommended",
    name: "Use the strength that a file recommends",
    tooltip: "When you add a file that says which strength is good for it",
    type: "boolean",
    defaultValue: true,
  },
  {
    key: "PreviewSize",
    name: "Preview size",
    tooltip: "Height of preview pictures in pixels, in the list of files and below a row",
    type: "slider",
    defaultValue: 96,
    attrs: { min: 48, max: 256, step: 8 },
  },
  {
    key: "FilePicker",
    name: "LoRA File opens the picker",
    tooltip: "Otherwise its list of files is ComfyUI's own",
    type: "boolean",
    defaultValue: true,
  },
  {
    key: "TagOrder",
    name: "Two numbers in a pasted LoRA tag",
    tooltip: "Which strength comes first when a pasted tag holds two",
    type: "combo",
    defaultValue: "model",
    options: [
      { text: "Model, then text encoder", value: "model" },
      { text: "Text encoder, then model", value: "clip" },
    ],
  },
];

app.registerExtension({
  name: "LoraAlgebra.Settings",
  settings: SETTINGS.map(({ key, ...rest }, place) => ({
    ...rest,
    id: idOf(key),
    category: [TAB, GROUP, key],
    sortOrder: -place, // the highest comes first
    onChange: refreshAll,
  })),
});

/**
 * Returns what the user has set, else the default.
 *
 * @param {"Step" | "Least" | "Most" | "TextStrength" | "Recommended" | "PreviewSize" | "FilePicker" | "TagOrder"} name
 */
export function setting(name) {
  return app.extensionManager.setting.get(idOf(name)) ?? SETTINGS.find(({ key }) => key === name)?.defaultValue;
}

/** Which of two numbers in a tag comes first. @returns {"model" | "clip"} */
export const tagOrder = () => (setting("TagOrder") === "clip" ? "clip" : "model");

/** @param {string} key */
function idOf(key) {
  return `LoraAlgebra.${GROUP}.${key}`;
}
