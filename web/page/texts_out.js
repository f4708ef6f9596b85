/** Hands texts out of the page: to the clipboard, and as files; and takes files in. */

const UNUSABLE = /[\\/:*?"<>|\p{Cc}]/gu; // in names of files

/** @param {string} text @returns {Promise<boolean>} whether the browser has copied it */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text); // missing on pages without https
    return true;
  } catch {
    return false;
  }
}

/** @param {string} name without its suffix @param {string} text JSON */
export function saveAsFile(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), {
    href: address,
    download: `${name.replace(UNUSABLE, "_")}.json`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address)); // the browser has begun to read it
}

/** Asks for a file. @param {(file: File) => void} then */
export function chooseFile(then) {
  const field = Object.assign(document.createElement("input"), { type: "file" });
  field.addEventListener("change", () => field.files?.[0] && then(field.files[0]));
  field.click();
}
