/**
 * The LoRA nodes of other packs, of the host and of ours. The table has one row for each type, which says how to
 * read rows of ours from a node as workflows save it, or as prompts hold it.
 *
 * Packs save what they like, so values are `any` until they are read.
 *
 * @typedef {import("./peer_row.js").Row} Row
 * @typedef {Record<string, any>} SavedNode `{ type, widgets_values, properties, inputs }` of a workflow, or
 *   `{ class_type, inputs }` of a prompt
 * @typedef {import("./peer_row.js").Saved} Saved
 * @typedef {import("./peer_row.js").Fields} Fields
 * @typedef {import("./peer_row.js").Peer} Peer
 */

import { isObject, readValue } from "../model/value.js";
import { count, isThere, numbered, power, row, single } from "./peer_row.js";
import { VIDEO } from "./peers_video.js";
import { findTags, TagError } from "./tags.js";

const SINGLE = ["lora_name", "strength_model", "strength_clip"];

/** @type {Record<string, Peer>} */
const PEERS = {
  LoraLoader: { kind: "model", widgets: SINGLE, read: single },
  LoraLoaderModelOnly: { kind: "model", widgets: SINGLE, read: single, modelOnly: true },
  LoraLoaderBypass: { kind: "model", widgets: SINGLE, read: single, live: true },
  LoraLoaderBypassModelOnly: { kind: "model", widgets: SINGLE, read: single, modelOnly: true, live: true },
  "LoraLoader|pysssss": { kind: "model", widgets: SINGLE, read: single },
  LoadLoraModel: { kind: "model", read: grown, modelOnly: true },
  LoadLoraTextEncoder: { kind: "model", read: grown, textOnly: true },

  "Power Lora Loader (rgthree)": { kind: "model", read: power },
  "Lora Loader Stack (rgthree)": {
    kind: "model",
    widgets: count(4).flatMap((n) => [`lora_0${n}`, `strength_0${n}`]),
    read: ({ fields }) => numbered(4, (n) => row(true, fields[`lora_0${n}`], fields[`strength_0${n}`])),
  },
  "DoRA Power LoRA Loader": { kind: "model", read: doraPower },
  ...VIDEO,

  "Lora Loader (LoraManager)": { kind: "model", read: managed, tells: ["trigger_words", "loaded_loras"] },
  "Lora Stacker (LoraManager)": { kind: "stack", read: managed, tells: ["trigger_words"] },
  "Lora Stack Combiner (LoraManager)": { kind: "stack", read: () => [], sums: true },
  "WanVideo Lora Select (LoraManager)": { kind: "apart", read: managed },
  "LoRA Text Loader (LoraManager)": {
    kind: "model",
    widgets: ["lora_syntax"],
    tells: ["trigger_words", "loaded_loras"],
    read: ({ fields }) => rowsOfTags(fields.lora_syntax, "model"),
  },

  "LoRA Stacker": { kind: "stack", read: efficient },
  "CR Load LoRA": {
    kind: "model",
    widgets: ["switch", ...SINGLE],
    read: (saved) => single(saved, saved.fields.switch === "On"),
  },
  "CR LoRA Stack": {
    kind: "stack",
    widgets: count(3).flatMap((n) => [`switch_${n}`, `lora_name_${n}`, `model_weight_${n}`, `clip_weight_${n}`]),
    read: comfyroll,
  },
  "CR Apply LoRA Stack": { kind: "model", read: () => [] },
  "CR LoRA List": {
    kind: "apart",
    widgets: count(3).flatMap((n) => [`lora_name${n}`, `alias${n}`, `model_strength_${n}`, `clip_strength_${n}`]),
    read: ({ fields }) =>
      numbered(3, (n) =>
        row(true, fields[`lora_name${n}`], fields[`model_strength_${n}`], fields[`clip_strength_${n}`]),
      ),
  },
  "easy loraStack": {
    kind: "stack",
    widgets: [
      ...["toggle", "mode", "num_loras"],
      ...count(10).flatMap((n) =>
        ["name", "strength", "model_strength", "clip_strength"].map((key) => `lora_${n}_${key}`),
      ),
    ],
    read: easyStack,
  },
  "easy loraSwitcher": {
    kind: "stack",
    widgets: ["toggle", "select", "num_loras", "lora_strength", ...count(50).map((n) => `lora_${n}_name`)],
    read: easySwitcher,
  },
  "easy loraStackApply": { kind: "model", read: () => [] },
  LocalLoraGallery: { kind: "model", read: gallery },
  LocalLoraGalleryModelOnly: { kind: "model", read: gallery, modelOnly: true },
  LocalLoraGalleryStacker: { kind: "stack", read: gallery },

  LoadLoRA: {
    kind: "lora",
    widgets: ["lora_name", "strength"],
    read: ({ fields }) => numbered(1, () => row(true, fields.lora_name, fields.strength)),
  },
  LoRARows: { kind: "lora", widgets: ["rows"], read: ({ fields }) => readValue(withoutTags(fields.rows)).rows },
  ScaleLoRA: { kind: "lora", widgets: ["strength_model", "strength_clip"], read: () => [] },
  StackLoRAs: { kind: "lora", read: () => [], sums: true },
};

/** @param {string} type @returns {Peer | undefined} */
export const peerOf = (type) => (Object.hasOwn(PEERS, type) ? PEERS[type] : undefined);

/**
 * Reads the rows that a node holds, in its order, with names as it writes them.
 *
 * @param {SavedNode} node @returns {Row[] | undefined} undefined if its type is not in the table
 */
export function rowsOfNode(node) {
  const peer = peerOf(typeOf(node));
  if (!peer) return undefined;
  const rows = peer.read(savedOf(node, peer.widgets ?? []));
  if (peer.textOnly) return rows.map((each) => ({ ...each, strength: 0, strength_clip: each.strength }));
  return peer.modelOnly ? rows.map((each) => ({ ...each, strength_clip: 0 })) : rows;
}

/**
 * Says why rows cannot mean the same as a node, if it is by its values.
 *
 * @param {SavedNode} node
 */
export function specialOf(node) {
  const peer = peerOf(typeOf(node));
  return peer?.special?.(savedOf(node, peer.widgets ?? []));
}

/** Reads the values of a node by their names, as far as the table knows these. @param {SavedNode} node */
export function fieldsOf(node) {
  return savedOf(node, peerOf(typeOf(node))?.widgets ?? []).fields;
}

/** @param {SavedNode} node */
const typeOf = ({ type, class_type: classType }) => String(classType ?? type);

/** @param {SavedNode} node @param {string[]} widgets @returns {Saved} */
function savedOf(node, widgets) {
  const { inputs, widgets_values: values, widgets_values_named: named, class_type: api, properties, lorasData } = node;
  const byName = api ? inputs : Array.isArray(values) ? named : values;
  const given = isObject(byName) ? byName : {};
  const list = !api && Array.isArray(values) ? values : Object.values(given);
  const inOrder = api ? [] : widgets.map((name, index) => [name, list[index]]);
  return {
    fields: { ...Object.fromEntries(inOrder), ...given },
    values: Array.isArray(lorasData) ? [...list, ...lorasData] : list,
    properties: properties ?? {},
    linked: linkedOf(inputs),
  };
}

/** @param {unknown} inputs as a workflow saves them, or as a prompt holds them */
function linkedOf(inputs) {
  const [slots, values] = [Array.isArray(inputs) ? inputs : [], isObject(inputs) ? Object.entries(inputs) : []];
  const names = slots.filter((slot) => isObject(slot) && (slot.link ?? null) !== null).map(({ name }) => name);
  return new Set([...names, ...values.filter(([, value]) => Array.isArray(value)).map(([name]) => name)]);
}

/**
 * The host's lists that grow: a file, a strength and a switch for each row, behind a count in saved nodes. A prompt
 * may leave out numbers, and the first version had no switches.
 *
 * @param {Saved} saved
 */
function grown({ fields, values }) {
  const named = Object.keys(fields).flatMap((key) => /^loras\.(\d+)\.lora_name$/.exec(key)?.[1] ?? []);
  const inOrder = named.map(Number).sort((one, other) => one - other);
  const rows = inOrder.map((n) => ["lora_name", "strength", "enabled"].map((key) => fields[`loras.${n}.${key}`]));
  return (rows.length ? rows : placed(values))
    .map(([name, strength, on = true]) => row(on, name, strength))
    .filter(isThere);
}

/** Divides saved values, each part from a name to the next one. @param {any[]} values @returns {any[][]} */
function placed(values) {
  const starts = values.flatMap((value, index) => (typeof value === "string" ? [index] : []));
  return starts.map((start, index) => values.slice(start, starts[index + 1]));
}

/** xmarre: its own state in a workflow, rows of rgthree's shape or numbered values in a prompt. @param {Saved} saved */
function doraPower({ fields, values, properties }) {
  const { rows, globals } = properties.dora_power_lora ?? {};
  const on = (globals?.stack_enabled ?? fields.stack_enabled) !== false;
  /** @type {Fields[]} */
  const own = Array.isArray(rows) ? rows.filter(isObject) : numberedRows(fields);
  const read = own.map(({ enabled, name, strengthModel, strengthClip }) =>
    row(on && enabled === true, name, strengthModel, strengthClip),
  );
  return [...read, ...power({ values }).map((each) => ({ ...each, on: on && each.on }))].filter(isThere);
}

/** @param {Fields} fields */
function numberedRows(fields) {
  return Object.keys(fields)
    .map((key) => /^(lora_\d+)_name$/.exec(key)?.[1])
    .filter(Boolean)
    .map((key) => ({
      enabled: fields[`${key}_enabled`],
      name: fields[`${key}_name`],
      strengthModel: fields[`${key}_strength_model`],
      strengthClip: fields[`${key}_strength_clip`],
    }));
}

/** LoRA Manager: its list is what it applies; the tags beside it are another view of that list. @param {Saved} saved */
function managed({ values }) {
  const lists = values.map((value) => (isObject(value) ? value.__value__ : value));
  const isRow = (/** @type {unknown} */ value) => isObject(value) && typeof value.name === "string";
  const rows = lists.find((list) => Array.isArray(list) && list.some(isRow)) ?? [];
  return rows
    .filter(isRow)
    .map((/** @type {Fields} */ { active, name, strength, clipStrength }) => row(active, name, strength, clipStrength))
    .filter(isThere);
}

/** Efficiency: 50, 49 or 3 places; its first versions had neither a mode nor a count. @param {Saved} saved */
function efficient({ fields, values }) {
  const named = "lora_name_1" in fields ? fields : efficientFields(values);
  const advanced = named.input_mode ? named.input_mode === "advanced" : "model_str_1" in named;
  const last = Math.min(50, named.lora_count ?? 50);
  return numbered(last, (n) => {
    const name = named[`lora_name_${n}`];
    return advanced
      ? row(true, name, named[`model_str_${n}`], named[`clip_str_${n}`])
      : row(true, name, named[`lora_wt_${n}`]);
  });
}

/** @param {any[]} values @returns {Fields} */
function efficientFields(values) {
  const hasMode = values[0] === "simple" || values[0] === "advanced";
  const [mode, places] = hasMode ? values : [];
  const list = hasMode ? values.slice(2) : values;
  const apart = typeof list[1] === "number" && typeof list[2] === "number"; // name, model, clip
  const keys = hasMode
    ? ["lora_name", "lora_wt", "model_str", "clip_str"]
    : apart
      ? ["lora_name", "model_str", "clip_str"]
      : ["lora_name", "lora_wt"];
  const entries = list.map((value, index) => [
    `${keys[index % keys.length]}_${Math.floor(index / keys.length) + 1}`,
    value,
  ]);
  return { ...Object.fromEntries(entries), ...(hasMode ? { input_mode: mode, lora_count: places } : {}) };
}

/** @param {Saved} saved */
function comfyroll({ fields }) {
  return numbered(3, (n) =>
    row(
      fields[`switch_${n}`] === "On",
      fields[`lora_name_${n}`],
      fields[`model_weight_${n}`],
      fields[`clip_weight_${n}`],
    ),
  );
}

/** @param {Saved} saved */
function easyStack({ fields }) {
  const on = fields.toggle === true;
  const last = Math.min(10, fields.num_loras ?? 10);
  return numbered(last, (n) => {
    const of = (/** @type {string} */ key) => fields[`lora_${n}_${key}`];
    return fields.mode === "advanced"
      ? row(on, of("name"), of("model_strength"), of("clip_strength"))
      : row(on, of("name"), of("strength"));
  });
}

/** Only one of its files has an effect; the others come along, switched off. @param {Saved} saved */
function easySwitcher({ fields }) {
  const on = (/** @type {number} */ n) => fields.toggle === true && n === fields.select;
  const last = Math.min(50, fields.num_loras ?? 50);
  return numbered(last, (n) => row(on(n), fields[`lora_${n}_name`], fields.lora_strength));
}

/** @param {Saved} saved */
function gallery({ fields, values }) {
  const candidates = [fields.selection_data, ...values].filter((value) => typeof value === "string");
  const list = candidates.map(listOf).find((found) => found?.some((each) => isObject(each) && "lora" in each));
  const rows = (list ?? []).filter(isObject);
  return rows.map((each) => row(each.on, each.lora, each.strength, each.strength_clip)).filter(isThere);
}

/** @param {string} text @returns {unknown[] | undefined} */
function listOf(text) {
  try {
    const list = JSON.parse(text);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads the rows of all tags in a text. A tag whose strength cannot be read gives a row that is off, with the tag as
 * its note; so have parts of other tags that mean nothing here.
 *
 * @param {unknown} text @param {import("./tags.js").Order} order
 * @param {string[]} [presets] the names of block weights
 * @returns {Row[]}
 */
export function rowsOfTags(text, order, presets = []) {
  if (typeof text !== "string") return [];
  return findTags(text, order, presets)
    .filter((found) => !(found instanceof TagError) || found.lora)
    .map((found) =>
      found instanceof TagError
        ? { on: false, name: found.lora, strength: 1, note: found.tag }
        : withMore(row(true, found.name, found.model, found.clip), found),
    )
    .filter(isThere);
}

const TAGS = /^\s*<\s*(lora|lyco)\s*:/i;

/**
 * Returns the value of a list that was stored as tags, as a script may have written it; any other as it is.
 *
 * @param {unknown} stored @param {string[]} [presets] the names of block weights
 */
export function withoutTags(stored, presets = []) {
  const isTags = typeof stored === "string" && TAGS.test(stored);
  return isTags ? { version: 1, rows: rowsOfTags(stored, "model", presets) } : stored;
}

/** @param {Row | undefined} made @param {import("./tags.js").Entry} entry @returns {Row | undefined} */
function withMore(made, { ignored, blocks }) {
  return made && { ...made, ...(ignored.length ? { note: ignored.join(":") } : {}), ...(blocks ? { blocks } : {}) };
}
