/** Adds a style sheet of this folder to the page. @param {string} file */
export function loadStyle(file) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(file, import.meta.url).href;
  document.head.append(link);
}
