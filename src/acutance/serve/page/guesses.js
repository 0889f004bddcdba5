// The blurs that the service thought of, side by side: a piece restored with each, its kernel, and its confidence.
import { byId, make } from '/page/dom.js';
import { run } from '/page/jobs.js';
import { guess } from '/page/order.js';
import { phaseOf } from '/page/panel.js';
import { text } from '/page/texts.js';

const MOST = 4;
const PARTS = ['', '_picture', '_kernel'];
const NAMES = ['candidates_before'];
for (let n = 1; n <= MOST; n += 1) NAMES.push(...PARTS.map((part) => `candidate_${n}${part}`));

/** Confidence between which the page asks by itself: below, no blur was found. A choice, not measured. */
const UNSURE = [0.4, 0.8];

export const unsure = ({ confidence }) => confidence !== null && confidence >= UNSURE[0] && confidence < UNSURE[1];

export class Guesses {
  /** picture(): the current one. settings(): the current ones. take(npy): a kernel is chosen. */
  constructor(picture, settings, take) {
    Object.assign(this, { picture, settings, take });
    this.abort = null; // of the question that is open
    this.asked = null; // the picture that it is about
    byId('guess').addEventListener('click', () => this.look());
    byId('guesses-close').addEventListener('click', () => this.close());
  }

  /** Ask the service about the current picture. */
  async look() {
    const picture = this.picture();
    this.stop();
    picture.guesses = null;
    this.show(picture);
    this.asked = picture;
    const { signal } = (this.abort = new AbortController());
    this.note(text.guessing);
    byId('guesses').hidden = false;
    try {
      const { report, files } = await run(await guess(picture, this.settings()), signal, NAMES, (event) => this.tell(event));
      picture.guesses = cards(picture, report, files);
      this.note([report.candidates.length ? text.guessesAre : text.guessNone, ...report.notes].join(' '));
      this.draw(picture);
    } catch (error) {
      if (!signal.aborted) this.note(text.guessFailed(error.message));
    }
    if (!signal.aborted) {
      this.asked = null;
      this.tell({});
    }
  }

  /** Show how far the search is; for the eye only, since it changes often. */
  tell(event) {
    byId('guesses-phase').textContent = phaseOf(event);
  }

  stop() {
    if (this.abort) this.abort.abort();
    this.abort = this.asked = null;
    this.tell({});
  }

  close() {
    this.stop();
    this.picture().guesses = null;
    this.show(this.picture());
    byId('guess').focus();
  }

  /** Show what is known of a picture, or nothing. */
  show(picture) {
    if (picture === this.asked) return;
    this.stop();
    byId('guesses').hidden = !picture.guesses;
    byId('guess-list').replaceChildren();
    if (picture.guesses) {
      this.note(text.guessesAre);
      this.draw(picture);
    }
  }

  draw({ guesses }) {
    const image = (src, className) => make('img', { src, className, alt: '' });
    const parts = guesses.map(({ label, piece, kernel, npy }) => {
      const shown = make('span', { className: 'pair' }, image(piece), ...(kernel ? [image(kernel, 'inset')] : []));
      const said = make('span', { className: 'said', textContent: label });
      if (!npy) return make('li', {}, make('span', { className: 'guess' }, shown, said));
      const card = make('button', { type: 'button', className: 'guess', 'aria-pressed': 'false' }, shown, said);
      card.addEventListener('click', () => {
        for (const other of byId('guess-list').querySelectorAll('button')) other.ariaPressed = String(other === card);
        this.take(npy);
      });
      return make('li', {}, card);
    });
    byId('guess-list').replaceChildren(...parts);
  }

  note(message) {
    byId('guesses-note').textContent = message;
  }
}

/** What is shown: the piece as it is, then each guess { label, piece, kernel, npy }. */
function cards(picture, { candidates }, [before, ...files]) {
  if (!candidates.length) return null;
  const made = candidates.map((about, i) => {
    const [npy, piece, kernel] = files.slice(PARTS.length * i);
    return { label: text.guessIs(i + 1, about), piece: picture.url(piece), kernel: picture.url(kernel), npy };
  });
  return [{ label: text.asItIs, piece: picture.url(before) }, ...made];
}
