// What the panel says of the picture that is shown: progress, error, report.
import { byId, make } from '/page/dom.js';
import { text } from '/page/texts.js';

let shown = null;

/** Show a picture's state. Call again whenever it changes. */
export function panel(picture, others) {
  shown = picture;
  const { busy, report } = picture;
  byId('progress').hidden = byId('cancel').hidden = !busy;
  byId('go').hidden = busy;
  byId('go').textContent = report ? text.again : text.go;
  byId('save').hidden = busy || !report;
  byId('all').hidden = !others.length;
  byId('all').textContent = text.all(others.length);
  byId('error').hidden = !picture.error;
  byId('error').textContent = picture.error;
  byId('name').textContent = picture.file.name;
  if (busy) progress(picture.event);
  describe(picture);
}

/** For screen readers. */
export function say(message) {
  if (byId('status').textContent !== message) byId('status').textContent = message;
}

/** The phase of a job in words, with the part of it; '' where there is none. */
export function phaseOf({ phase, ...event }) {
  const part = event.part in text.parts ? text.parts[event.part](event) : '';
  return phase in text ? text[phase] + (part && `: ${part}`) : '';
}

function progress(event) {
  const phase = event.state === 'queued' ? 'queued' : event.phase;
  if (phase) {
    byId('phase').textContent = phaseOf({ ...event, phase });
    say(text[phase]);
  }
  if (event.steps) byId('bar').value = (100 * event.step) / event.steps;
  else byId('bar').removeAttribute('value');
  tick();
}

function tick() {
  if (!shown || !shown.busy) return;
  const seconds = Math.round((Date.now() - shown.begun) / 1000);
  const { seconds_left: left, phase } = shown.event;
  const told = phase === 'kernel' ? text.leftAtMost : text.left;
  byId('left').textContent = left ? told(left) : seconds > 2 ? text.elapsed(seconds) : '';
}

setInterval(tick, 1000);

function describe({ report, found }) {
  byId('result').hidden = !report;
  byId('found').hidden = !found;
  for (const button of document.querySelectorAll('.use-found')) button.hidden = !found;
  if (report) {
    const lines = [text.summary(report), text.form(report), ...report.notes];
    byId('notes').replaceChildren(...lines.map((line) => make('li', { textContent: line })));
  }
  if (found) {
    if (byId('found-kernel').src !== found.url) byId('found-kernel').src = found.url;
    byId('found-kernel').alt = text.foundKernel;
    byId('found-size').textContent = text.foundSize(found.side);
  }
}
