// The strip of thumbnails: one entry for each picture, with its state, a button to save it and one to remove it.
import { make } from '/page/dom.js';
import { text } from '/page/texts.js';

const SIDE = 144; // pixels of a thumbnail, for screens of twice the density

export class Queue {
  /** list: the element. on: { pick, save, remove }, each called with a picture. */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.entries = new Map();
  }

  get pictures() {
    return [...this.entries.keys()];
  }

  add(picture) {
    const canvas = make('canvas', { width: SIDE, height: SIDE, 'aria-hidden': 'true' });
    const state = make('span', { className: 'state' });
    const pick = make('button', { type: 'button', className: 'pick', title: picture.file.name }, canvas, state);
    const save = make('button', { type: 'button', className: 'small', textContent: '↓', hidden: true });
    const remove = make('button', { type: 'button', className: 'small', textContent: '×' });
    save.setAttribute('aria-label', text.saveOne(picture.file.name));
    remove.setAttribute('aria-label', text.removeOne(picture.file.name));
    for (const [button, what] of [[pick, 'pick'], [save, 'save'], [remove, 'remove']]) {
      button.addEventListener('click', () => this.on[what](picture));
    }
    const entry = make('li', {}, pick, make('div', { className: 'corner' }, save, remove));
    this.entries.set(picture, { entry, pick, save, state, canvas });
    this.list.append(entry);
    this.list.hidden = this.entries.size < 2;
    this.render(picture);
  }

  remove(picture) {
    this.entries.get(picture).entry.remove();
    this.entries.delete(picture);
    this.list.hidden = this.entries.size < 2;
  }

  select(picture) {
    for (const [other, { pick }] of this.entries) {
      pick.setAttribute('aria-current', String(other === picture));
      if (other === picture) pick.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
  }

  /** Bring the entry of a picture up to date. */
  render(picture) {
    const { entry, pick, save, state, drawn } = this.entries.get(picture);
    if (drawn !== picture.shown) this.draw(picture);
    const { step, steps } = picture.event;
    const share = picture.state === 'running' && steps ? Math.round((100 * step) / steps) : null;
    entry.className = picture.state;
    state.textContent = share === null ? text.states[picture.state] : text.percent(share);
    pick.setAttribute('aria-label', text.entry(picture.file.name, text.states[picture.state]));
    save.hidden = picture.state !== 'done';
  }

  /** The neighbour of a picture, in a circle. */
  beside(picture, step) {
    const all = this.pictures;
    return all[(all.indexOf(picture) + step + all.length) % all.length];
  }

  /** A thumbnail, cut to a square; where the browser cannot read the file, its suffix. */
  async draw(picture) {
    const entry = this.entries.get(picture);
    const { canvas } = entry;
    entry.drawn = picture.shown;
    const context = canvas.getContext('2d');
    try {
      const bitmap = await createImageBitmap(picture.shown);
      const scale = SIDE / Math.min(bitmap.width, bitmap.height);
      const [w, h] = [bitmap.width * scale, bitmap.height * scale];
      context.imageSmoothingQuality = 'high';
      context.drawImage(bitmap, (SIDE - w) / 2, (SIDE - h) / 2, w, h);
      bitmap.close();
    } catch {
      context.font = '600 32px system-ui, sans-serif';
      context.textAlign = 'center';
      context.fillStyle = '#8a949e';
      context.fillText(picture.file.name.split('.').pop().slice(0, 5).toUpperCase(), SIDE / 2, SIDE / 2 + 10);
    }
  }
}
