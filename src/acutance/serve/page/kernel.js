// The kernel as a small grid that is drawn with the mouse, a finger or the keyboard.
import { byId, make } from '/page/dom.js';
import { decode } from '/page/npy.js';
import { text } from '/page/texts.js';

const SIDES = [9, 15, 21, 31, 45, 61];

export class KernelEditor {
  constructor() {
    this.canvas = byId('kernel-grid');
    this.last = null; // where the stroke is, in cells
    this.cursor = null; // the cell of the keyboard
    byId('kernel-side').replaceChildren(...SIDES.map((n) => make('option', { value: n, textContent: text.side(n) })));
    this.write({ side: 21, values: [] });
    this.listen();
  }

  /** { side, values }: numbers from 0 to 1, row after row; null where nothing is drawn. */
  read() {
    return this.values.some((value) => value > 0) ? { side: this.side, values: [...this.values] } : null;
  }

  /** Show a kernel; null clears the grid. */
  write(kernel) {
    const { side, values } = kernel || { side: this.side, values: [] };
    const most = Math.max(...values, 0) || 1;
    this.side = side;
    this.values = Array.from({ length: side * side }, (_, i) => Math.max(0, values[i] || 0) / most);
    this.cursor = null;
    const choice = byId('kernel-side');
    if (!SIDES.includes(side) && ![...choice.options].some((option) => Number(option.value) === side)) {
      choice.append(make('option', { value: side, textContent: text.side(side) }));
    }
    choice.value = side;
    this.draw();
  }

  /** Start from a kernel that was found, a .npy file. */
  async start(npy) {
    this.write(await decode(npy));
    this.changed();
  }

  listen() {
    byId('kernel-side').addEventListener('change', (event) => this.resize(Number(event.target.value)));
    byId('kernel-clear').addEventListener('click', () => {
      this.write(null);
      this.changed();
    });
    this.canvas.addEventListener('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.stroke(this.last);
    });
    this.canvas.addEventListener('pointermove', (event) => this.last && this.stroke(this.place(event)));
    for (const end of ['pointerup', 'pointercancel']) {
      this.canvas.addEventListener(end, () => {
        if (this.last) this.changed();
        this.last = null;
      });
    }
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    this.canvas.addEventListener('blur', () => {
      this.cursor = null;
      this.draw();
    });
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const half = (this.side - 1) / 2;
    this.cursor ||= [half, half];
    if (event.key in moves) {
      this.cursor = this.cursor.map((at, i) => Math.min(this.side - 1, Math.max(0, at + moves[event.key][i])));
    } else if (event.key === ' ' || event.key === 'Enter') {
      const i = this.cursor[1] * this.side + this.cursor[0];
      this.values[i] = this.values[i] > 0 ? 0 : 1;
      this.changed();
    } else return;
    event.preventDefault();
    this.draw();
  }

  /** Keep what is drawn, in the middle. */
  resize(side) {
    const shift = (side - this.side) / 2;
    const old = { side: this.side, values: this.values };
    const values = Array.from({ length: side * side }, (_, i) => {
      const [x, y] = [(i % side) - shift, Math.floor(i / side) - shift];
      return x < 0 || y < 0 || x >= old.side || y >= old.side ? 0 : old.values[y * old.side + x];
    });
    this.write({ side, values });
    this.changed();
  }

  /** Where an event is, in cells; whole numbers are their centres. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const along = (from, start, length) => ((from - start) / length) * this.side - 0.5;
    return [along(event.clientX, box.left, box.width), along(event.clientY, box.top, box.height)];
  }

  stroke(to) {
    const [dx, dy] = [to[0] - this.last[0], to[1] - this.last[1]];
    const steps = Math.max(1, Math.ceil(3 * Math.hypot(dx, dy)));
    for (let i = 0; i <= steps; i += 1) this.dab(this.last[0] + (dx * i) / steps, this.last[1] + (dy * i) / steps);
    this.last = to;
    this.draw();
  }

  /** A dot, shared by the four cells around it; or an erased cell. */
  dab(x, y) {
    const erases = byId('kernel-erase').checked;
    for (const column of erases ? [Math.round(x)] : [Math.floor(x), Math.floor(x) + 1]) {
      for (const row of erases ? [Math.round(y)] : [Math.floor(y), Math.floor(y) + 1]) {
        if (column < 0 || row < 0 || column >= this.side || row >= this.side) continue;
        const i = row * this.side + column;
        this.values[i] = erases ? 0 : Math.max(this.values[i], (1 - Math.abs(x - column)) * (1 - Math.abs(y - row)));
      }
    }
  }

  changed() {
    this.canvas.dispatchEvent(new Event('input', { bubbles: true }));
    this.canvas.dispatchEvent(new Event('change', { bubbles: true }));
  }

  draw() {
    const context = this.canvas.getContext('2d');
    const cell = this.canvas.width / this.side;
    const edges = (n) => [Math.round(n * cell), Math.round((n + 1) * cell) - Math.round(n * cell)];
    this.values.forEach((value, i) => {
      const [[x, w], [y, h]] = [edges(i % this.side), edges(Math.floor(i / this.side))];
      const grey = Math.round(24 + 231 * Math.sqrt(value));
      context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
      context.fillRect(x, y, w - (cell > 8), h - (cell > 8));
    });
    if (this.cursor) {
      context.strokeStyle = '#4cc2bd';
      context.lineWidth = 3;
      context.strokeRect(this.cursor[0] * cell + 1.5, this.cursor[1] * cell + 1.5, cell - 3, cell - 3);
    }
  }
}
