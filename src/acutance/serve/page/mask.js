// The mask brush: strokes over the picture that say "restore only here" or "ignore this".
import { byId } from '/page/dom.js';

const COLOURS = { only: 'rgb(76 194 189 / .45)', ignore: 'rgb(220 60 60 / .45)' };
const SHOWN = 1200; // longer side of the overlay, pixels

/** Draw strokes { kind, width, points } with all lengths as fractions of the picture's width. */
function paint(context, strokes, colour) {
  const { width } = context.canvas;
  context.lineCap = context.lineJoin = 'round';
  for (const stroke of strokes) {
    context.strokeStyle = colour;
    context.lineWidth = stroke.width * width;
    context.beginPath();
    // The first point twice: a point alone is a dot.
    for (const [x, y] of [stroke.points[0], ...stroke.points]) context.lineTo(x * width, y * width);
    context.stroke();
  }
}

/** The masks of a picture as files: { mask, only }, those that are not painted left out. */
export async function maskFiles(picture) {
  const files = {};
  for (const [name, kind, back, colour] of [['mask', 'ignore', '#fff', '#000'], ['only', 'only', '#000', '#fff']]) {
    const strokes = picture.strokes.filter((stroke) => stroke.kind === kind);
    if (!strokes.length) continue;
    const canvas = new OffscreenCanvas(...picture.size);
    const context = canvas.getContext('2d');
    context.fillStyle = back;
    context.fillRect(0, 0, ...picture.size);
    paint(context, strokes, colour);
    files[name] = await canvas.convertToBlob();
  }
  return files;
}

export class Brush {
  /** picture(): the current one. changed(): called after each stroke. */
  constructor(viewer, picture, changed) {
    Object.assign(this, { viewer, picture, changed });
    this.canvas = byId('mask');
    this.stroke = null;
    byId('brushes').addEventListener('change', () => this.take());
    byId('stroke-undo').addEventListener('click', () => this.set(this.picture().strokes.slice(0, -1)));
    byId('stroke-clear').addEventListener('click', () => this.set([]));
    this.canvas.addEventListener('pointerdown', (event) => this.begin(event));
    this.canvas.addEventListener('pointermove', (event) => this.go(event));
    for (const end of ['pointerup', 'pointercancel']) this.canvas.addEventListener(end, () => this.end());
  }

  /** "only", "ignore", or "" where nothing is painted. */
  get kind() {
    return document.querySelector('input[name=brush]:checked').value;
  }

  /** Take up another brush, or none. */
  take() {
    this.canvas.classList.toggle('painting', this.kind !== '');
    byId('brush-row').hidden = this.kind === '';
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width];
  }

  begin(event) {
    if (!this.kind || event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const width = byId('brush').value / 100;
    this.stroke = { kind: this.kind, width, points: [this.place(event)] };
    this.draw();
  }

  go(event) {
    if (!this.stroke) return;
    event.stopPropagation();
    this.stroke.points.push(this.place(event));
    this.draw();
  }

  end() {
    if (!this.stroke) return;
    const strokes = [...this.picture().strokes, this.stroke];
    this.stroke = null;
    this.set(strokes);
  }

  set(strokes) {
    const picture = this.picture();
    const { naturalWidth, naturalHeight } = this.viewer.before;
    picture.size = [naturalWidth, naturalHeight];
    picture.strokes = strokes;
    this.draw();
    this.changed();
  }

  /** Show the strokes of the current picture. */
  draw() {
    const { naturalWidth: w, naturalHeight: h } = this.viewer.before;
    const { strokes } = this.picture();
    const all = this.stroke ? [...strokes, this.stroke] : strokes;
    const scale = Math.min(1, SHOWN / Math.max(w, h, 1));
    this.canvas.width = Math.round(w * scale);
    this.canvas.height = Math.round(h * scale);
    const context = this.canvas.getContext('2d');
    for (const kind of Object.keys(COLOURS)) {
      paint(context, all.filter((stroke) => stroke.kind === kind), COLOURS[kind]);
    }
    byId('stroke-undo').disabled = byId('stroke-clear').disabled = !strokes.length;
  }
}
