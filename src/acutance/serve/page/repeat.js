// "Save settings": the side-car of a result, from which `acutance repeat` makes it again, else the settings of the page.
import { boxField } from '/page/boxes.js';
import { byId, download } from '/page/dom.js';
import * as sidecar from '/page/sidecar.js';
import { text } from '/page/texts.js';

/** What a form asked for: { key, made, theirs }, of the settings, the files that were made here, names of the user's. */
export function asked(picture, values, form) {
  const sent = ['kernel', 'mask'].map((name) => form.get(name)).filter(Boolean);
  const own = (file) => file !== byId('kernel').files[0];
  const theirs = [picture.file, ...sent.filter((file) => !own(file))].map(({ name }) => name);
  return { key: key(picture, values), made: sent.filter(own), theirs };
}

/** The same text for the same settings of the same picture. */
function key(picture, values) {
  const [file] = values.blur === 'file' ? byId('kernel').files : [];
  return JSON.stringify([values, boxField(picture), picture.strokes, file && [file.name, file.size, file.lastModified]]);
}

/** Why the command cannot make the result again with these settings; '' where it can. */
function missing(picture, values) {
  if (!picture.report) return text.notRestored;
  if (picture.earlier || values.step) return text.earlierStep;
  if (picture.strokes.some(({ kind }) => kind === 'only')) return text.onlyHere;
  if (!picture.sidecar || key(picture, values) !== picture.asked.key) return text.settingsChanged;
  return '';
}

/** Save them, and say what they are for. version: of the program. */
export function saveSettings(picture, values, version) {
  const why = missing(picture, values);
  byId('preset-note').hidden = false;
  if (why) {
    byId('preset-note').textContent = text.settingsOnly(why);
    download(sidecar.write(values, picture.report, version), picture.stem + sidecar.suffix);
    return;
  }
  const { made, theirs } = picture.asked;
  const name = picture.savedName.replace(/\.[^.]*$/, '') + sidecar.suffix;
  byId('preset-note').textContent = text.repeatable(name, [...theirs, ...made.map((file) => file.name)]);
  download(picture.sidecar, name);
  made.forEach((file) => download(file, file.name));
}
