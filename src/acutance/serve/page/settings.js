// The fields of the panel as one plain value, and back.
import { byId } from '/page/dom.js';
import { KernelEditor } from '/page/kernel.js';
import { text } from '/page/texts.js';

const FIELDS = ['blur', 'length', 'angle', 'radius', 'deviation', 'strength', 'noise', 'quality'];
const { pixels, degrees, percent } = text;
const UNITS = { length: pixels, radius: pixels, deviation: pixels, angle: degrees, strength: percent, brush: percent };

export const kernel = new KernelEditor();
let methods = [];
let step = null; // of the method, where it is to stop; null: the last

/** What the service offers, see /v1/methods. */
export function setMethods(offered) {
  methods = offered;
  refresh();
}

/** Stop after a step of the method; null: after the last. */
export function stopAfter(chosen) {
  step = chosen;
}

/**
 * { task, blur, length, ..., kernel, keep, step }: strings, the kernel that is drawn, see `KernelEditor.read`, whether
 * all steps are kept, and the one that was chosen, or null.
 */
export function read() {
  const values = Object.fromEntries(FIELDS.map((id) => [id, byId(id).value]));
  return { task: document.querySelector('input[name=task]:checked').value, ...values, ...kept() };
}

function kept() {
  return { kernel: kernel.read(), keep: byId('keep-steps').checked, step };
}

/** Set the fields; those that are left out stay as they are. */
export function write({ task, ...values }) {
  if ('kernel' in values) kernel.write(values.kernel);
  if (task) document.querySelector(`input[name=task][value=${task}]`).checked = true;
  if ('keep' in values) byId('keep-steps').checked = values.keep;
  if ('step' in values) step = values.step;
  for (const id of FIELDS) if (id in values) byId(id).value = values[id];
  refresh();
}

/** Show the fields that belong to the task and the blur, with their values. */
export function refresh() {
  const { task, blur } = read();
  const known = qualities(task, blur);
  const all = (selector) => document.querySelectorAll(selector);
  for (const part of all('[data-for]')) part.hidden = !part.dataset.for.split(' ').includes(task);
  for (const part of all('[data-blur]')) part.hidden = part.dataset.blur !== blur;
  for (const out of all('output')) {
    if (out.htmlFor.value in UNITS) out.value = UNITS[out.htmlFor.value](byId(out.htmlFor.value).value);
  }
  byId('qualities').hidden = !known.length;
  for (const option of byId('quality').options) option.disabled = !known.includes(option.value);
}

/** Those of the method that the service takes for a task and a kind of blur. */
export function qualities(task, blur) {
  if (task !== 'restore') return [];
  const method = methods.find((m) => m.name === (blur === 'find' ? 'blind' : 'acute'));
  return method ? method.qualities : [];
}
