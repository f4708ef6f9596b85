/** Makes the tree of folders in the picker. */

import { focusedOf, isolated, make, targetOf } from "../page/elements.js";
import { t } from "../page/words.js";

/**
 * @typedef {{ path: string, name: string, depth: number, count: number }} Folder
 * @typedef {{ element: HTMLElement, show: (folders: Folder[], chosen: string) => void }} Tree
 *
 * @param {(path: string) => void} choose
 * @returns {Tree} the chosen folder is the one that has the focus, and shows what is in it
 */
export function makeTree(choose) {
  const element = make("div", { class: "lora-algebra-folders", role: "tree", "aria-label": t("Folders") });
  element.addEventListener("keydown", (event) => walk(element, event, choose));
  element.addEventListener("click", (event) => {
    const path = targetOf(event).closest("[role=treeitem]")?.getAttribute("data-path");
    if (path !== null && path !== undefined) choose(path);
  });
  return { element, show: (folders, chosen) => show(element, folders, chosen) };
}

/** @param {HTMLElement} element @param {Folder[]} folders @param {string} chosen */
function show(element, folders, chosen) {
  const hadFocus = element.contains(document.activeElement);
  const shown = folders.filter(({ path, depth }) => depth < 2 || chosen.startsWith(parentOf(path)));
  element.hidden = folders.length < 2;
  element.replaceChildren(...shown.map((folder) => treeItem(folder, folders, chosen)));
  /** @type {HTMLElement | null} */
  const selected = element.querySelector("[aria-selected=true]");
  if (hadFocus) selected?.focus();
  else selected?.scrollIntoView({ block: "nearest" });
}

/** @param {string} path */
const parentOf = (path) => path.replace(/[^/]*\/$/, "");

/** @param {Folder} folder @param {Folder[]} folders @param {string} chosen */
function treeItem({ path, name, depth, count }, folders, chosen) {
  const selected = path === chosen;
  const next = folders[folders.findIndex((folder) => folder.path === path) + 1];
  const hasMore = depth > 0 && next?.path.startsWith(path);
  /** @type {import("../page/elements.js").Attributes} */
  const properties = {
    role: "treeitem",
    "data-path": path,
    "aria-level": depth + 1,
    "aria-selected": String(selected),
    "aria-expanded": hasMore ? String(chosen.startsWith(path)) : undefined,
    tabindex: selected ? 0 : -1,
    title: path || undefined,
  };
  const text = depth ? isolated(name) : t("All folders");
  const item = make("div", properties, text, make("span", { class: "lora-algebra-count" }, String(count)));
  item.style.setProperty("--depth", String(Math.max(0, depth - 1)));
  return item;
}

/**
 * Chooses another folder with keys.
 *
 * @param {HTMLElement} element @param {KeyboardEvent} event @param {(path: string) => void} choose
 */
function walk(element, event, choose) {
  const items = /** @type {HTMLElement[]} */ ([...element.children]);
  const at = focusedOf(items);
  const paths = items.map(({ dataset }) => dataset.path);
  /** @type {Record<string, number>} */
  const steps = {
    ArrowDown: at + 1,
    ArrowRight: at + 1,
    ArrowUp: at - 1,
    ArrowLeft: paths.indexOf(parentOf(paths[at] ?? "")),
    Home: 0,
    End: items.length - 1,
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const path = paths[steps[event.key]];
  if (path !== undefined) choose(path);
}
