// A box that says where the blur is seen: around a light trail, which shows it, or where it is to be estimated.
import { byId } from '/page/dom.js';
import { text } from '/page/texts.js';

const KINDS = ['trail', 'window'];
const FIELDS = ['x', 'y', 'width', 'height'];
const LEAST = 3; // pixels of a side

const field = (name) => byId(`box-${name}`);

/** The box of a picture as a field of the service, [name, value]; null for none. */
export function boxField({ box }) {
  return box && [box.kind, FIELDS.map((name) => box[name]).join()];
}

export class Boxes {
  /** viewer: shows the picture. picture(): the current one. */
  constructor(viewer, picture) {
    Object.assign(this, { viewer, picture });
    this.kind = null; // of the box that is being drawn
    this.from = null; // the corner where the mouse was pressed, pixels of the picture
    this.canvas = byId('boxes');
    for (const kind of KINDS) field(kind).addEventListener('click', () => this.draw(kind));
    for (const name of FIELDS) field(name).addEventListener('change', () => this.typed());
    field('clear').addEventListener('click', () => this.set(null));
    this.canvas.addEventListener('pointerdown', (event) => this.begin(event));
    this.canvas.addEventListener('pointermove', (event) => this.from && this.go(event));
    for (const end of ['pointerup', 'pointercancel']) this.canvas.addEventListener(end, () => this.end());
  }

  get size() {
    const { naturalWidth, naturalHeight } = this.viewer.before;
    return [naturalWidth, naturalHeight];
  }

  /** Take up a box of that kind, or put it down. A box that is there becomes one of that kind. */
  draw(kind) {
    const { box } = this.picture();
    this.kind = this.kind === kind ? null : kind;
    if (this.kind && box) this.picture().box = { ...box, kind };
    this.show();
  }

  place(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const [w, h] = this.size;
    return [((event.clientX - left) / width) * w, ((event.clientY - top) / height) * h];
  }

  begin(event) {
    if (event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.from = this.place(event);
  }

  go(event) {
    event.stopPropagation();
    const to = this.place(event);
    const [x, y] = this.from.map((from, i) => Math.min(from, to[i]));
    const [width, height] = this.from.map((from, i) => Math.abs(from - to[i]));
    this.picture().box = this.within({ kind: this.kind, x, y, width, height });
    this.show();
  }

  end() {
    if (!this.from) return;
    this.from = null;
    if (this.picture().box) this.kind = null;
    this.show();
  }

  /** Whole pixels within the picture, where its size is known. */
  within({ kind, ...box }) {
    const [w, h] = this.size.map((side) => side || 1e6);
    const clamp = (value, least, most) => Math.round(Math.min(most, Math.max(least, value)));
    const [x, y] = [clamp(box.x, 0, w - LEAST), clamp(box.y, 0, h - LEAST)];
    return { kind, x, y, width: clamp(box.width, LEAST, w - x), height: clamp(box.height, LEAST, h - y) };
  }

  typed() {
    const values = FIELDS.map((name) => field(name).valueAsNumber);
    const kind = this.kind || (this.picture().box || {}).kind;
    if (!kind || values.some(Number.isNaN)) return;
    this.set(this.within({ kind, ...Object.fromEntries(FIELDS.map((name, i) => [name, values[i]])) }));
  }

  set(box) {
    this.picture().box = box;
    this.kind = null;
    this.show();
  }

  /** Show the box of the current picture, where the blur is to be found. */
  show() {
    const { box } = this.picture();
    const finds = byId('blur').value === 'find' && document.querySelector('input[name=task]:checked').value === 'restore';
    if (!finds) this.kind = null;
    for (const kind of KINDS) field(kind).setAttribute('aria-pressed', String(this.kind === kind));
    this.canvas.classList.toggle('painting', this.kind !== null);
    field('fields').hidden = !box && !this.kind;
    field('clear').disabled = !box;
    const shown = byId('box');
    shown.hidden = !box || !finds;
    const [w, h] = this.size;
    FIELDS.forEach((name, i) => {
      field(name).value = box ? box[name] : '';
      const side = i % 2 ? h : w;
      if (side) field(name).max = side;
      if (box && side) shown.style[['left', 'top', 'width', 'height'][i]] = `${(100 * box[name]) / side}%`;
    });
    const kind = this.kind || (box && box.kind);
    field('hint').textContent = this.kind && !box ? text.boxHints[kind] : kind ? text.boxes[kind] : text.boxNone;
    if (box) shown.dataset.said = text.boxes[box.kind];
  }
}
