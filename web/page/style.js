import { app } from "../../../scripts/app.js";

app.registerExtension({ name: "LoraAlgebra.Style", init: () => loadStyle("page/theme.css") });

/** Adds a style sheet to the page. @param {string} file its path in `web` */
export function loadStyle(file) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(`../${file}`, import.meta.url).href;
  document.head.append(link);
}
