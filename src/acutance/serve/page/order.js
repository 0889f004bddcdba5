// The form that is sent for a picture: its file and the settings as fields of the service.
import { byId } from '/page/dom.js';
import { qualities } from '/page/settings.js';
import { text } from '/page/texts.js';

/** Throws with a message for the user where something is missing. */
export function order(picture, settings) {
  const sent = new FormData();
  sent.set('image', picture.file);
  sent.set('task', settings.task);
  sent.set('show', 'true');
  if (settings.noise) sent.set('sigma', settings.noise);
  if (settings.task !== 'restore') {
    sent.set('strength', settings.strength / 100);
    return sent;
  }
  blur(sent, settings);
  if (qualities(settings.task, settings.blur).includes(settings.quality)) sent.set('quality', settings.quality);
  return sent;
}

function blur(sent, settings) {
  if (settings.blur === 'motion') sent.set('motion', `${settings.length},${settings.angle}`);
  if (settings.blur === 'disc') sent.set('disc', settings.radius);
  if (settings.blur === 'gaussian') sent.set('gaussian', settings.deviation);
  if (settings.blur === 'file') {
    if (!byId('kernel').files.length) throw new Error(text.kernelMissing);
    sent.set('kernel', byId('kernel').files[0]);
  }
}
