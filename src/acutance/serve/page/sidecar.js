// Settings in a file beside the picture. A file that is opened may come from anywhere: every field is checked.
import { byId } from '/page/dom.js';
import { text } from '/page/texts.js';

const VERSION = 1;
const KIND = 'acutance restoration'; // a side-car, see acutance.trust.sidecar
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

/**
 * The settings in a file; those that it lacks are left out. Of a side-car also `box` { kind, x, y, width, height }, and
 * `kernelName`, of the file that is to be chosen. Throws with a message that names what is wrong.
 */
export async function read(file) {
  if (file.size > MOST_BYTES) throw new Error(text.notSettings);
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch {
    throw new Error(text.notSettings);
  }
  if (!isObject(found) || !isObject(found.settings)) throw new Error(text.notSettings);
  if (found.kind === KIND) {
    if (found.version !== 2) throw new Error(text.otherVersion);
    return ofRun(found);
  }
  if (found.version !== VERSION) throw new Error(text.otherVersion);
  return checked(found.settings);
}

const OWN = ['acute', 'blind']; // the methods that the page has for blur
const PAGE = ['method', 'task', 'motion', 'disc', 'gaussian', 'exact', 'strength', 'quality', 'sigma', 'window', 'trail'];
const ANY = ['device', 'precision'];

/** The settings of a run, where the page has fields for them. */
function ofRun({ settings, kernel }) {
  for (const [name, value] of Object.entries(settings)) {
    if (![...PAGE, ...ANY].includes(name) && value !== null && value !== false) throw new Error(text.notHere(name));
  }
  const { motion, disc, gaussian, sigma, strength } = settings;
  const deblurs = settings.task === 'deblur';
  if (deblurs && ![null, ...OWN].includes(settings.method)) throw new Error(text.notHere('method'));
  const values = { task: deblurs ? 'restore' : settings.task, noise: noiseOf(sigma) };
  values.strength = strength === null ? '100' : String(100 * strength);
  if (settings.quality !== null) values.quality = settings.quality;
  if (motion !== null) [values.length, values.angle] = String(motion).split(',').map((part) => String(Number(part)));
  if (disc !== null) values.radius = String(disc);
  if (gaussian !== null) values.deviation = String(gaussian);
  values.blur = values.length ? 'motion' : values.radius ? 'disc' : values.deviation ? 'gaussian' : kernel ? 'file' : 'find';
  const made = checked(values);
  for (const kind of ['window', 'trail']) if (settings[kind] !== null) made.box = boxOf(kind, settings[kind]);
  if (kernel && typeof kernel.name === 'string') made.kernelName = kernel.name;
  return made;
}

/** The choice of the page that is a noise level. */
function noiseOf(sigma) {
  if (sigma === null) return '';
  const level = Number(String(sigma).replace('%', '')) / (String(sigma).endsWith('%') ? 100 : 1);
  const same = (option) => option.value && Math.abs(Number(option.value.replace('%', '')) / 100 - level) < 1e-9;
  const found = [...byId('noise').options].find(same);
  if (!found) throw new Error(text.notHere('sigma'));
  return found.value;
}

function boxOf(kind, said) {
  if (!/^\d{1,6}(,\d{1,6}){3}$/.test(said)) throw new Error(text.wrongSetting(kind));
  const [x, y, width, height] = said.split(',').map(Number);
  if (Math.min(width, height) < 3) throw new Error(text.wrongSetting(kind));
  return { kind, x, y, width, height };
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
