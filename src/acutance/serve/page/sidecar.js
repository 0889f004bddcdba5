// Settings in a file beside the picture. A file that is opened may come from anywhere: every field is checked.
import { byId } from '/page/dom.js';
import { text } from '/page/texts.js';

const VERSION = 1;
const MOST_BYTES = 2_000_000;
const MOST_SIDE = 255;
const NUMBERS = ['length', 'angle', 'radius', 'deviation', 'strength'];
const CHOICES = ['blur', 'noise', 'quality'];

export const suffix = '.acutance.json';

/**
 * The file for settings, see `settings.read`. report: of the picture that they restored, if there is one.
 * version: of the program.
 */
export function write(values, report, version) {
  const { kernel, blur, ...rest } = values;
  const made = {
    version: VERSION,
    settings: { ...rest, blur, ...(blur === 'draw' && kernel ? { kernel } : {}) },
    acutance: version,
    method: report ? report.method : null,
    weights: report ? report.weights : null,
  };
  return new Blob([JSON.stringify(made, null, 1)], { type: 'application/json' });
}

/** The settings in a file; those that it lacks are left out. Throws with a message that names what is wrong. */
export async function read(file) {
  if (file.size > MOST_BYTES) throw new Error(text.notSettings);
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch {
    throw new Error(text.notSettings);
  }
  if (!isObject(found) || !isObject(found.settings)) throw new Error(text.notSettings);
  if (found.version !== VERSION) throw new Error(text.otherVersion);
  return checked(found.settings);
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

function checked(given) {
  const values = {};
  const take = (name, right) => {
    if (!Object.hasOwn(given, name)) return;
    if (!right(given[name])) throw new Error(text.wrongSetting(name));
    values[name] = given[name];
  };
  const tasks = [...document.querySelectorAll('input[name=task]')].map((input) => input.value);
  take('task', (value) => tasks.includes(value));
  for (const name of CHOICES) take(name, (value) => [...byId(name).options].some((option) => option.value === value));
  for (const name of NUMBERS) take(name, (value) => isNumber(value, byId(name)));
  take('kernel', isKernel);
  take('keep', (value) => typeof value === 'boolean');
  take('step', (value) => value === null || (Number.isInteger(value) && value >= 1 && value <= 9999));
  return values;
}

/** A number as a range input has it: text, and within its ends. */
function isNumber(value, { min, max }) {
  if (typeof value !== 'string' || !/^-?\d{1,6}(\.\d{1,6})?$/.test(value)) return false;
  return Number(value) >= Number(min) && Number(value) <= Number(max);
}

function isKernel(value) {
  if (!isObject(value) || !Number.isInteger(value.side) || !Array.isArray(value.values)) return false;
  if (value.side < 3 || value.side > MOST_SIDE || value.side % 2 === 0) return false;
  const right = (v) => typeof v === 'number' && v >= 0 && v <= 1;
  return value.values.length === value.side ** 2 && value.values.every(right) && value.values.some((v) => v > 0);
}
