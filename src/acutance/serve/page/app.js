// The page: pictures in, settings, jobs of the service, results. Nothing is loaded from elsewhere.
import * as api from '/page/api.js';
import { Boxes } from '/page/boxes.js';
import { byId, download, fill, make } from '/page/dom.js';
import { Guesses, unsure } from '/page/guesses.js';
import { History } from '/page/history.js';
import { intake } from '/page/intake.js';
import { keys } from '/page/keys.js';
import { Loupe } from '/page/loupe.js';
import { Brush } from '/page/mask.js';
import { order } from '/page/order.js';
import { panel, say } from '/page/panel.js';
import { Picture } from '/page/picture.js';
import * as presets from '/page/presets.js';
import { Preview } from '/page/preview.js';
import { Queue } from '/page/queue.js';
import { asked, saveSettings } from '/page/repeat.js';
import { Runner } from '/page/runner.js';
import { Seems } from '/page/seems.js';
import * as settings from '/page/settings.js';
import * as sidecar from '/page/sidecar.js';
import { Sharpness } from '/page/sharpness.js';
import { text } from '/page/texts.js';
import { Trust } from '/page/trust.js';
import { Viewer } from '/page/viewer.js';

const MOST_AT_ONCE = 4; // pictures; each listens on a connection, and browsers open six to a host

fill();
byId('before').alt = text.beforeAlt;
byId('after').alt = text.afterAlt;
const viewer = new Viewer(byId);
const runner = new Runner(changed, askToken);
const queue = new Queue(byId('queue'), { pick: show, save, remove });
const loupe = new Loupe(viewer);
const brush = new Brush(viewer, () => current, () => preview.begin());
const seems = new Seems(() => current, (values) => {
  apply(values);
  history.note();
});
const trust = new Trust(() => current);
const boxes = new Boxes(viewer, () => current);
const sharpness = new Sharpness(choose);
const preview = new Preview(viewer, () => current, settings.read, offer, () => seems.stop());
const guesses = new Guesses(() => current, settings.read, useKernel);
let current = null;
let service = {}; // what it says of itself

// -- the pictures -----------------------------------------------------------------------------------------------------

function take(files) {
  const isSettings = (file) => file.name.endsWith('.json');
  files.filter(isSettings).forEach(openSettings);
  const taken = files.filter((file) => !isSettings(file)).map((file) => new Picture(file));
  if (!taken.length) return;
  taken.forEach((picture) => queue.add(picture));
  show(taken[0]);
}

async function show(picture) {
  current = picture;
  preview.clear();
  for (const id of ['frame', 'tools', 'panel']) byId(id).hidden = false;
  byId('main').classList.remove('empty');
  byId('drop').hidden = true;
  queue.select(picture);
  guesses.show(picture);
  boxes.show();
  sharpness.offer(picture.steps, picture.report && picture.report.steps);
  render();
  const readable = await viewer.show(picture.beforeUrl, picture.afterUrl);
  if (picture !== current) return;
  byId('unshown').hidden = readable;
  if (preview.missed && readable) preview.begin();
  else seems.show(picture);
  loupe.show();
  brush.draw();
  boxes.show();
}

function render() {
  panel(current, queue.pictures.length > 1 ? open() : []);
  trust.show();
}

/** The pictures that "restore all" takes. */
function open() {
  return queue.pictures.filter((picture) => picture.state === 'open' || picture.state === 'failed');
}

function changed(picture) {
  queue.render(picture);
  if (picture === current && picture.state === 'done' && viewer.afterUrl !== picture.afterUrl) {
    show(picture);
    say(text.done);
    if (unsure(picture.report) && !picture.guesses && settings.read().blur === 'find') guesses.look();
  } else render();
}

function save(picture) {
  download(picture.saved, picture.savedName);
}

function remove(picture) {
  const next = queue.beside(picture, 1);
  runner.cancel(picture);
  queue.remove(picture);
  picture.close();
  if (picture === current) show(next);
  else render();
}

/** Show one of the steps, of the piece where there is one; the whole is then restored as far. */
function choose(entry, isLast) {
  settings.stopAfter(isLast ? null : entry.step);
  if (preview.shown) return preview.lay(entry.shown);
  current.choose(entry);
  viewer.swap(current.afterUrl).then(() => loupe.show());
  queue.render(current);
  trust.show();
}

function offer(steps) {
  sharpness.offer(steps, settings.read().step);
  if (steps.length && settings.read().step) preview.lay(sharpness.entry.shown);
}

// -- the settings -----------------------------------------------------------------------------------------------------

const history = new History(settings.read, apply, () => {
  byId('undo').disabled = !history.past.length;
  byId('redo').disabled = !history.future.length;
});

function apply(values) {
  settings.write(values);
  if (!current) return;
  boxes.show();
  preview.begin();
}

byId('panel').addEventListener('input', (event) => {
  if (event.target.id === 'preset' || event.target.id.startsWith('box-')) return;
  settings.refresh();
  if (!current) return;
  boxes.show();
  preview.begin();
});
byId('panel').addEventListener('change', () => history.note());
byId('undo').addEventListener('click', () => history.undo());
byId('redo').addEventListener('click', () => history.redo());

for (const name of presets.names) {
  byId('preset').append(make('option', { value: name, textContent: text.presets[name][0] }));
}
byId('preset').addEventListener('change', ({ target }) => {
  byId('preset-note').hidden = !target.value;
  if (!target.value) return;
  byId('preset-note').textContent = text.presets[target.value][1];
  apply(presets.preset(target.value));
});

async function openSettings(file) {
  const note = byId('preset-note');
  note.hidden = false;
  try {
    const { box, kernelName, ...values } = await sidecar.read(file);
    if (box && current) current.box = box;
    apply(values);
    history.note();
    note.textContent = text.settingsOpened(file.name) + (kernelName ? ` ${text.kernelWanted(kernelName)}` : '');
  } catch (error) {
    note.textContent = error.message;
  }
}

byId('save-settings').addEventListener('click', () => {
  saveSettings(current, settings.read(), service.version);
});
byId('open-settings').addEventListener('click', () => byId('settings-file').click());
byId('settings-file').addEventListener('change', ({ target }) => {
  if (target.files.length) openSettings(target.files[0]);
  target.value = '';
});

for (const button of document.querySelectorAll('.use-found')) {
  button.addEventListener('click', () => useKernel(current.found.npy));
}

/** Go on with a kernel of the service, a .npy file. */
function useKernel(npy) {
  settings.write({ task: 'restore', blur: 'draw' });
  settings.kernel.start(npy);
}

// -- the jobs ---------------------------------------------------------------------------------------------------------

async function restore(pictures) {
  try {
    const values = settings.read();
    for (const picture of pictures) {
      const form = await order(picture, values);
      runner.add(picture, form, asked(picture, values, form));
    }
    preview.stop();
    seems.stop();
  } catch (error) {
    current.error = error.message;
    render();
  }
}

byId('stage').addEventListener('scroll', () => preview.shown && preview.begin());
byId('panel').addEventListener('submit', (event) => {
  event.preventDefault();
  restore([current]);
});
byId('all').addEventListener('click', () => restore(open()));
byId('save').addEventListener('click', () => save(current));
byId('cancel').addEventListener('click', () => {
  runner.cancel(current);
  say(text.cancelled);
  byId('go').focus();
});
window.addEventListener('pagehide', () => {
  preview.stop();
  guesses.stop();
  seems.stop();
  queue.pictures.forEach((picture) => runner.cancel(picture));
});

// -- the view ---------------------------------------------------------------------------------------------------------

function zoom(full) {
  viewer.zoom(full);
  loupe.show();
  byId('fit').setAttribute('aria-pressed', String(!full));
  byId('full').setAttribute('aria-pressed', String(full));
  if (preview.shown) preview.begin();
}

byId('fit').addEventListener('click', () => zoom(false));
byId('full').addEventListener('click', () => zoom(true));
keys(
  {
    f: () => zoom(false),
    1: () => zoom(true),
    l: () => viewer.zoomed || loupe.toggle(),
    ',': () => viewer.moveTo(viewer.position - 5),
    '.': () => viewer.moveTo(viewer.position + 5),
    p: () => show(queue.beside(current, -1)),
    n: () => show(queue.beside(current, 1)),
  },
  history,
);

// -- the start --------------------------------------------------------------------------------------------------------

function askToken() {
  byId('ask').showModal();
}

byId('ask').addEventListener('close', () => {
  api.setToken(byId('token').value);
  load();
});

async function load() {
  try {
    settings.setMethods(await api.methods());
    service = await api.ready();
    runner.workers = Math.min(MOST_AT_ONCE, service.workers);
  } catch (error) {
    if (error.status === 401) askToken();
    else setTimeout(load, 2000); // the workers are starting
  }
}

intake(take);
api.takeToken();
settings.refresh();
load();
