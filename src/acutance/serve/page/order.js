// The form that is sent for a picture: its file and the settings as fields of the service.
import { boxField } from '/page/boxes.js';
import { byId } from '/page/dom.js';
import { maskFiles } from '/page/mask.js';
import { encode } from '/page/npy.js';
import { qualities } from '/page/settings.js';
import { text } from '/page/texts.js';

const EXTRAS = ['report', 'sidecar']; // of whole pictures only

/** The whole picture. Throws with a message for the user where something is missing. */
export async function order(picture, settings) {
  const sent = new FormData();
  sent.set('image', picture.file);
  sent.set('task', settings.task);
  sent.set('show', 'true');
  if (settings.noise) sent.set('sigma', settings.noise);
  if (settings.keep) sent.set('iterates', 'true');
  if (settings.keep && settings.step) sent.set('step', settings.step);
  if (Number(settings.strength) < 100) sent.set('strength', settings.strength / 100);
  sent.set('report', 'true');
  const { mask, only } = await maskFiles(picture);
  if (!only && !sent.has('step')) sent.set('sidecar', 'true'); // the command can do neither
  if (only) sent.set('only', only, 'only.png');
  if (settings.task !== 'restore') return sent;
  if (mask) sent.set('mask', mask, `${picture.stem}-mask.png`);
  blur(sent, settings, picture);
  const box = boxField(picture);
  if (settings.blur === 'find' && box) sent.set(...box);
  if (qualities(settings.task, settings.blur).includes(settings.quality)) sent.set('quality', settings.quality);
  return sent;
}

/**
 * The forms that restore a piece { x, y, width, height }: the quick one first. A blur that is to be found is the one
 * that was found in the whole picture; [] where that has not been done.
 */
export async function trials(picture, settings, piece) {
  const deblurs = settings.task === 'restore';
  const finds = deblurs && settings.blur === 'find';
  if (finds && !picture.found) return [];
  const methods = deblurs ? [{ method: 'fd' }, { method: 'acute', quality: 'fast' }] : [{}];
  const trial = async (method) => {
    const sent = await order(picture, settings);
    for (const name of ['quality', 'trail', 'window', 'step', ...EXTRAS]) sent.delete(name);
    if (method.method === 'fd') sent.delete('iterates'); // it has no steps
    if (finds) sent.set('kernel', picture.found.npy, 'kernel.npy');
    sent.set('preview', [piece.x, piece.y, piece.width, piece.height].join());
    for (const [name, value] of Object.entries(method)) sent.set(name, value);
    return sent;
  };
  return Promise.all(methods.map(trial));
}

/** The form that asks what is wrong with a picture. */
export function look(picture) {
  const sent = new FormData();
  sent.set('image', picture.file);
  sent.set('task', 'look');
  return sent;
}

/** The form that asks for guesses of a picture's blur. */
export async function guess(picture, settings) {
  const sent = await order(picture, { ...settings, task: 'restore', blur: 'find' });
  for (const name of ['strength', 'only', 'show', 'step', 'iterates', ...EXTRAS]) sent.delete(name);
  sent.set('task', 'kernel');
  sent.set('candidates', 'true');
  return sent;
}

function blur(sent, settings, picture) {
  if (settings.blur === 'motion') sent.set('motion', `${settings.length},${settings.angle}`);
  if (settings.blur === 'disc') sent.set('disc', settings.radius);
  if (settings.blur === 'gaussian') sent.set('gaussian', settings.deviation);
  if (settings.blur === 'draw') {
    if (!settings.kernel) throw new Error(text.kernelEmpty);
    sent.set('kernel', encode(settings.kernel), `${picture.stem}-kernel.npy`);
  }
  if (settings.blur === 'file') {
    if (!byId('kernel').files.length) throw new Error(text.kernelMissing);
    sent.set('kernel', byId('kernel').files[0]);
  }
}
