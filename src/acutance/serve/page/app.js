// The page: a picture in, settings, a job of the service, the result. Nothing is loaded from elsewhere.
import * as api from '/page/api.js';
import { choose } from '/page/texts.js';
import { Viewer } from '/page/viewer.js';

const text = choose();
const byId = (id) => document.getElementById(id);
const state = { file: null, methods: [], job: null, abort: null, result: null, urls: [], begun: 0, timer: 0 };

for (const part of document.querySelectorAll('[data-text]')) part.textContent = text[part.dataset.text];
for (const part of document.querySelectorAll('[data-label]')) part.setAttribute('aria-label', text[part.dataset.label]);
byId('before').alt = text.beforeAlt;
byId('after').alt = text.afterAlt;
const viewer = new Viewer(byId);

// -- the picture ------------------------------------------------------------------------------------------------------

function url(blob) {
  const made = URL.createObjectURL(blob);
  state.urls.push(made);
  return made;
}

async function open(file) {
  cancel();
  state.urls.splice(0).forEach((old) => URL.revokeObjectURL(old));
  state.file = file;
  state.result = null;
  byId('main').classList.remove('empty');
  byId('drop').hidden = true;
  for (const id of ['frame', 'tools', 'panel']) byId(id).hidden = false;
  for (const id of ['result', 'error', 'save']) byId(id).hidden = true;
  byId('go').textContent = text.go;
  byId('name').textContent = file.name;
  byId('unshown').hidden = await viewer.show(url(file));
}

byId('file').addEventListener('change', (event) => {
  if (event.target.files.length) open(event.target.files[0]);
  event.target.value = '';
});
byId('other').addEventListener('click', () => byId('file').click());
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => {
  if (event.clipboardData.files.length) open(event.clipboardData.files[0]);
});

for (const [id, full] of [['fit', false], ['full', true]]) {
  byId(id).addEventListener('click', () => {
    viewer.zoom(full);
    byId('fit').setAttribute('aria-pressed', String(!full));
    byId('full').setAttribute('aria-pressed', String(full));
  });
}

// -- the settings -----------------------------------------------------------------------------------------------------

const units = { length: text.pixels, radius: text.pixels, deviation: text.pixels, angle: text.degrees, strength: text.percent };
const task = () => document.querySelector('input[name=task]:checked').value;

function refresh() {
  for (const part of document.querySelectorAll('[data-for]')) part.hidden = !part.dataset.for.split(' ').includes(task());
  for (const part of document.querySelectorAll('[data-blur]')) part.hidden = part.dataset.blur !== byId('blur').value;
  for (const out of document.querySelectorAll('output')) out.value = units[out.htmlFor.value](byId(out.htmlFor.value).value);
  byId('qualities').hidden = !qualities().length;
  for (const option of byId('quality').options) option.disabled = !qualities().includes(option.value);
}

/** Of the method that the service takes for these settings. */
function qualities() {
  const name = task() === 'restore' ? (byId('blur').value === 'find' ? 'blind' : 'acute') : null;
  const method = state.methods.find((m) => m.name === name);
  return method ? method.qualities : [];
}

byId('panel').addEventListener('input', refresh);

function form() {
  const sent = new FormData();
  sent.set('image', state.file);
  sent.set('task', task());
  sent.set('show', 'true');
  if (byId('noise').value) sent.set('sigma', byId('noise').value);
  if (task() !== 'restore') {
    sent.set('strength', byId('strength').value / 100);
    return sent;
  }
  const blur = byId('blur').value;
  if (blur === 'motion') sent.set('motion', `${byId('length').value},${byId('angle').value}`);
  if (blur === 'disc') sent.set('disc', byId('radius').value);
  if (blur === 'gaussian') sent.set('gaussian', byId('deviation').value);
  if (blur === 'file') {
    if (!byId('kernel').files.length) throw new Error(text.kernelMissing);
    sent.set('kernel', byId('kernel').files[0]);
  }
  if (qualities().includes(byId('quality').value)) sent.set('quality', byId('quality').value);
  return sent;
}

// -- the job ----------------------------------------------------------------------------------------------------------

byId('panel').addEventListener('submit', (event) => {
  event.preventDefault();
  run();
});

async function run() {
  cancel();
  byId('error').hidden = true;
  const abort = (state.abort = new AbortController());
  try {
    const sent = form();
    busy(true);
    tell({ phase: 'sending' });
    state.job = await api.start(sent, abort.signal);
    let last = state.job;
    for await (last of api.events(state.job, abort.signal)) tell(last);
    if (last.state === 'cancelled') return;
    if (last.state !== 'done') throw new Error(last.error || text.offline);
    await show(last, abort.signal);
  } catch (error) {
    if (abort.signal.aborted) return;
    if (error.status === 401) return void askToken();
    fail(error instanceof TypeError ? text.offline : error.message);
  } finally {
    if (state.abort === abort) {
      state.abort = state.job = null;
      busy(false);
    }
  }
}

async function show(done, signal) {
  tell({ phase: 'loading' });
  const links = done.links;
  const [saved, shown, before, kernel] = await Promise.all(
    [links.picture, links.shown, links.shown_before, links.kernel_picture].map((link) => link && api.picture(link, signal)),
  );
  const suffix = { PNG: 'png', GIF: 'png', JPEG: 'jpg', WEBP: 'webp', TIFF: 'tif', BMP: 'bmp' }[done.report.format];
  state.result = { blob: saved, suffix };
  await viewer.compare(url(shown || saved), before && url(before));
  byId('unshown').hidden = true;
  describe(done.report, kernel);
  byId('save').hidden = false;
  byId('go').textContent = text.again;
  byId('status').textContent = text.done;
  api.stop(done.id);
}

function describe(report, kernel) {
  const lines = [text.summary(report), text.form(report), ...report.notes];
  byId('notes').replaceChildren(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
  byId('found').hidden = !kernel;
  if (kernel) {
    byId('found-kernel').src = url(kernel);
    byId('found-kernel').alt = text.foundKernel;
    byId('found-size').textContent = text.foundSize(report.kernel_side);
  }
  byId('result').hidden = false;
}

function busy(is) {
  byId('progress').hidden = byId('cancel').hidden = !is;
  byId('go').hidden = is;
  byId('save').hidden = is || !state.result;
  clearInterval(state.timer);
  if (is) {
    state.begun = Date.now();
    state.timer = setInterval(tick, 1000);
  }
}

function tell(event) {
  const phase = event.state === 'queued' ? 'queued' : event.phase;
  if (!phase) return;
  byId('phase').textContent = text[phase];
  if (event.steps) byId('bar').value = (100 * event.step) / event.steps;
  else byId('bar').removeAttribute('value');
  state.left = event.seconds_left;
  if (byId('status').textContent !== text[phase]) byId('status').textContent = text[phase];
  tick();
}

function tick() {
  const seconds = Math.round((Date.now() - state.begun) / 1000);
  byId('left').textContent = state.left ? text.left(state.left) : seconds > 2 ? text.elapsed(seconds) : '';
}

function fail(message) {
  byId('error').textContent = message;
  byId('error').hidden = false;
}

function cancel() {
  if (state.job) api.stop(state.job.id);
  if (state.abort) state.abort.abort();
  state.abort = state.job = null;
  busy(false);
}

byId('cancel').addEventListener('click', () => {
  cancel();
  byId('status').textContent = text.cancelled;
  byId('go').focus();
});

window.addEventListener('pagehide', cancel);

byId('save').addEventListener('click', () => {
  const stem = state.file.name.replace(/\.[^.]*$/, '') || 'picture';
  const link = document.createElement('a');
  link.href = url(state.result.blob);
  link.download = `${stem}-restored.${state.result.suffix}`;
  link.click();
});

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
    state.methods = await api.methods();
    refresh();
  } catch (error) {
    if (error.status === 401) askToken();
    else setTimeout(load, 2000); // the workers are starting
  }
}

api.takeToken();
refresh();
load();
