// A loupe over the fitted picture: a disc at 100 %, before in its left half and after in its right.
import { byId } from '/page/dom.js';

const KEY_STEP = 0.02; // of the picture, for an arrow key

export class Loupe {
  constructor(viewer) {
    this.viewer = viewer;
    this.box = byId('loupe');
    this.on = false;
    const { stage } = viewer;
    stage.addEventListener('pointermove', (event) => this.follow(event));
    stage.addEventListener('pointerdown', (event) => this.follow(event));
    stage.addEventListener('keydown', (event) => this.key(event));
    byId('magnify').addEventListener('click', () => this.toggle());
  }

  toggle() {
    this.on = !this.on;
    this.show();
  }

  /** Bring it up to date with the pictures and the zoom. */
  show() {
    const { viewer, box } = this;
    byId('magnify').setAttribute('aria-pressed', String(this.on));
    byId('magnify').disabled = viewer.zoomed;
    box.hidden = !this.on || viewer.zoomed || viewer.canvas.hidden;
    if (box.hidden) return;
    const [frame, canvas] = [viewer.frame.getBoundingClientRect(), viewer.canvas.getBoundingClientRect()];
    const [x, y] = viewer.point;
    box.style.left = `${canvas.left - frame.left + x * canvas.width}px`;
    box.style.top = `${canvas.top - frame.top + y * canvas.height}px`;
    byId('loupe-line').hidden = byId('loupe-half').hidden = viewer.after.hidden;
    this.place(byId('loupe-before'), viewer.before);
    if (!viewer.after.hidden) this.place(byId('loupe-after'), viewer.after);
  }

  /** An image so that the point is in the middle of the loupe. */
  place(image, source) {
    if (image.src !== source.src) image.src = source.src;
    const { naturalWidth: w, naturalHeight: h } = source;
    const [x, y] = this.viewer.point;
    const side = this.box.clientWidth;
    image.style.width = `${w / devicePixelRatio}px`;
    image.style.left = `${side / 2 - (x * w) / devicePixelRatio}px`;
    image.style.top = `${side / 2 - (y * h) / devicePixelRatio}px`;
  }

  follow(event) {
    const { viewer } = this;
    if (viewer.zoomed || !(this.on || event.type === 'pointerdown')) return;
    const canvas = viewer.canvas.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    viewer.point = [
      within((event.clientX - canvas.left) / canvas.width),
      within((event.clientY - canvas.top) / canvas.height),
    ];
    this.show();
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (this.box.hidden || !(event.key in moves)) return;
    const move = moves[event.key];
    this.viewer.point = this.viewer.point.map((at, i) => Math.min(1, Math.max(0, at + KEY_STEP * move[i])));
    this.show();
    event.preventDefault();
  }
}
