// Small helpers for the page's elements.
import { text } from '/page/texts.js';

export const byId = (id) => document.getElementById(id);

/** An element with properties (attributes where the name has a dash) and children. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Put the texts of the table into the elements that name them. */
export function fill() {
  const all = (selector) => document.querySelectorAll(selector);
  for (const part of all('[data-text]')) part.textContent = text[part.dataset.text];
  for (const part of all('[data-label]')) part.setAttribute('aria-label', text[part.dataset.label]);
}

/** Hand a file to the user. */
export function download(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
