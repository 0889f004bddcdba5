// A slider over the steps of the restoration: each is a picture of its own, which is shown and saved.
import { byId } from '/page/dom.js';
import { text } from '/page/texts.js';

/** Steps that the service keeps at most. */
const MOST = 12;
const PARTS = ['', '_shown'];

/** The links of a job to its steps, see `steps`. */
export const LINKS = Array.from({ length: MOST }, (_, i) => PARTS.map((part) => `iterate_${i + 1}${part}`)).flat();

/** The steps of a report, [{ step, saved, shown }], from the files behind `LINKS`; [] where it has none. */
export function steps({ iterates = [] }, files) {
  return iterates.map((step, i) => {
    const [saved, shown] = files.slice(PARTS.length * i);
    return { step, saved, shown: shown || saved };
  });
}

export class Sharpness {
  /** chosen(entry, isLast): one of the steps that were offered is to be shown. */
  constructor(chosen) {
    this.entries = [];
    this.slider = byId('sharpness');
    this.slider.addEventListener('input', () => {
      this.say();
      chosen(this.entry, this.slider.value === this.slider.max);
    });
  }

  get entry() {
    return this.entries[this.slider.value - 1];
  }

  /** Offer steps, of which one is shown: a number of a step, or null for the last. */
  offer(entries, step = null) {
    this.entries = entries;
    byId('sharpness-row').hidden = entries.length < 2;
    if (entries.length < 2) return;
    const at = entries.findIndex((entry) => step !== null && entry.step >= step);
    this.slider.max = entries.length;
    this.slider.value = at < 0 ? entries.length : at + 1;
    this.say();
  }

  say() {
    const told = text.stepOf(this.entry.step, this.entries.at(-1).step);
    byId('sharpness-step').textContent = told;
    this.slider.setAttribute('aria-valuetext', told);
  }
}
