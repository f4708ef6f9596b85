/**
 * The LoRA nodes that came with models for videos: pairs of files for two models, lists that only nodes of their own
 * pack can read, and loaders that treat some layers apart.
 *
 * @typedef {import("./peer_row.js").Row} Row
 * @typedef {import("./peer_row.js").Saved} Saved
 * @typedef {import("./peer_row.js").Fields} Fields
 * @typedef {import("./peer_row.js").Peer} Peer
 */

import { isObject } from "../model/value.js";
import { numbered, row, single } from "./peer_row.js";

const WAN_PLACES = 5;
const MODEL_ONLY = ["lora_name", "strength_model"];
const LTX_PARTS = ["video", "video_to_audio", "audio", "audio_to_video", "other"];

/** @type {Record<string, Peer>} */
export const VIDEO = {
  PowerLoraLoaderV2: { kind: "model", read: (saved) => highAndLow(saved, ({ strength }) => strength) },
  WanVideoPowerLoraLoader: { kind: "apart", read: (saved) => highAndLow(saved, lowStrength) },
  WanVideoLoraSelect: {
    kind: "apart",
    widgets: ["lora", "strength"],
    read: ({ fields }) => numbered(1, () => row(true, fields.lora, fields.strength)),
  },
  WanVideoLoraSelectByName: {
    kind: "apart",
    widgets: ["lora_name", "strength"],
    read: ({ fields }) => numbered(1, () => row(true, fields.lora_name, fields.strength)),
  },
  WanVideoLoraSelectMulti: {
    kind: "apart",
    widgets: Array.from({ length: WAN_PLACES }, (_, n) => [`lora_${n}`, `strength_${n}`]).flat(),
    read: ({ fields }) => numbered(WAN_PLACES, (n) => row(true, fields[`lora_${n - 1}`], fields[`strength_${n - 1}`])),
  },

  LTXICLoRALoaderModelOnly: { kind: "model", widgets: MODEL_ONLY, read: single, modelOnly: true },
  LTX2LoraLoaderAdvanced: {
    kind: "model",
    widgets: [...MODEL_ONLY, ...LTX_PARTS],
    read: single,
    modelOnly: true,
    special: ({ fields, linked }) => (LTX_PARTS.some((part) => isPart(fields[part])) ? "layers" : inBlocks({ linked })),
  },
  DiTBlockLoraLoader: {
    kind: "model",
    widgets: ["strength_model", "lora_name"],
    read: single,
    modelOnly: true,
    special: inBlocks,
  },
};

/** Whether a part of the layers gets less than the whole strength. @param {unknown} share */
const isPart = (share) => share !== undefined && share !== 1;

/** KJNodes: its blocks replace the alpha of the file, so no factor does the same. @param {Pick<Saved, "linked">} saved */
function inBlocks({ linked }) {
  return linked.has("blocks") ? "alpha" : undefined;
}

/** @param {Fields} value */
const lowStrength = ({ strength, low_strength: low = strength }) => low ?? 0;

/**
 * siraxe: rows of rgthree's shape for two models. A row is for the first one, unless it says more.
 *
 * @param {Saved} saved @param {(value: Fields) => unknown} sharedStrength of a file that the second model gets, too
 */
function highAndLow({ values, linked }, sharedStrength) {
  const own = values.filter((value) => isObject(value) && "lora" in value);
  const two = linked.has("model_low") || own.some(isForLow);
  return own.flatMap((value) => {
    const made = row(value.on, value.lora, value.strength, value.strengthTwo);
    return made ? [{ ...made, ...sidesOf(value, made, two, sharedStrength) }] : [];
  });
}

/** @param {Fields} value */
const isForLow = (value) => Boolean(value.low_only || value.use_for_both || hasLowFile(value));

/** @param {Fields} value */
const hasLowFile = ({ is_low: found, low_variant_name: name, low_active: active = true, high_only: alone }) =>
  Boolean(found && active && !alone && row(true, name));

/**
 * Says which of two models get what, as rows say it.
 *
 * @param {Fields} value @param {Row} made @param {boolean} two whether there is a second model
 * @param {(value: Fields) => unknown} sharedStrength @returns {Partial<Row>}
 */
function sidesOf(value, made, two, sharedStrength) {
  if (value.low_only) return { ...strengthOf(made, made.name, sharedStrength(value)), only: "low" };
  if (value.use_for_both) return lowOf(made, made.name, sharedStrength(value));
  if (hasLowFile(value)) return lowOf(made, value.low_variant_name, lowStrength(value));
  return two ? { only: "high" } : {};
}

/** @param {Row} made @param {string} name @param {unknown} strength @returns {Partial<Row>} */
function lowOf(made, name, strength) {
  const { on, strength: own } = strengthOf(made, name, strength);
  return name === made.name && own === made.strength ? { on } : { on, low: { name, strength: own } };
}

/** @param {Row} made @param {string} name @param {unknown} strength */
function strengthOf(made, name, strength) {
  const read = row(made.on, name, strength) ?? made;
  return { on: read.on, strength: read.strength };
}
