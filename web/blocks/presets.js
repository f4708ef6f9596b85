/** The user's own presets of block weights: in a file of the host's user data, shown in a menu. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

import { make } from "../page/elements.js";
import { openMenu } from "../page/menu.js";
import { keepFocus, openPopup } from "../page/popup.js";
import { printable } from "../page/text.js";
import { t } from "../page/words.js";

const FILE = `/userdata/${encodeURIComponent("lora-algebra/block_presets.json")}`;
const LONGEST_NAME = 60;

/** @typedef {Map<string, string>} Presets name -> text */
/** @typedef {{ text: () => string, choose: (text: string) => void }} Host what is to be saved, and what takes a preset */

/** @param {HTMLElement} opener @param {Host} host */
export async function openPresets(opener, { text, choose }) {
  const presets = await load();
  const own = [...presets].map(([name, saved]) => ({ text: printable(name), action: () => choose(saved) }));
  const saving = { text: t("Save as preset…"), action: () => askForName(opener, presets, text()) };
  const deleting = { text: t("Delete a preset…"), action: () => openDeletion(opener, presets) };
  openMenu(t("Presets"), [...own, saving, { ...deleting, disabled: !own.length }], opener, opener);
}

/** @param {HTMLElement} opener @param {Presets} presets */
function openDeletion(opener, presets) {
  const without = (/** @type {string} */ name) => new Map([...presets].filter(([other]) => other !== name));
  const items = [...presets.keys()].map((name) => ({ text: printable(name), action: () => save(without(name)) }));
  openMenu(t("Delete a preset…"), items, opener, opener);
}

/** @param {HTMLElement} opener @param {Presets} presets @param {string} text */
function askForName(opener, presets, text) {
  const field = make("input", { type: "text", "aria-label": t("Name of the preset"), autocomplete: "off" });
  field.maxLength = LONGEST_NAME;
  field.placeholder = t("Name of the preset");
  const add = () => {
    const name = field.value.trim();
    if (!name) return;
    close();
    save(new Map([...presets, [name, text]]));
  };
  field.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && add());
  const box = make(
    "div",
    { class: "lora-algebra-popup lora-algebra-preset", role: "dialog", "aria-label": t("Save as preset…") },
    field,
    make("button", { type: "button", onclick: add }, t("Save")),
  );
  keepFocus(box);
  const close = openPopup(box, opener, { opener });
  field.focus();
}

/** @returns {Promise<Presets>} none if there is no file, or another one than ours */
async function load() {
  try {
    const response = await api.fetchApi(FILE, { cache: "no-store" });
    const saved = response.ok ? Object.entries(await response.json()) : [];
    return new Map(saved.filter((entry) => typeof entry[1] === "string"));
  } catch {
    return new Map();
  }
}

/** @param {Presets} presets */
async function save(presets) {
  const body = JSON.stringify(Object.fromEntries(presets), null, 2);
  const response = await api.fetchApi(FILE, { method: "POST", body }).catch(() => null);
  if (response?.ok) return;
  const detail = t("ComfyUI has not saved the presets.");
  app.extensionManager.toast.add({ severity: "error", summary: t("LoRA Algebra"), detail, life: 10_000 });
}
