// Before and after in one frame: a divider, two zooms, and scrolling.

const STEP = 2; // per cent that an arrow key moves the divider

export class Viewer {
  constructor(byId) {
    this.frame = byId('frame');
    this.stage = byId('stage');
    this.canvas = byId('canvas');
    this.before = byId('before');
    this.layer = byId('layer'); // what is seen right of the divider
    this.after = byId('after');
    this.piece = byId('piece');
    this.divider = byId('divider');
    this.tags = [...this.frame.querySelectorAll('.tag')];
    this.position = 50;
    this.zoomed = false;
    this.afterUrl = this.pieceUrl = null;
    this.point = [0.5, 0.5]; // where the user last looked, as fractions of the picture
    this.listen();
  }

  listen() {
    this.stage.addEventListener('scroll', () => this.clip());
    new ResizeObserver(() => this.layout()).observe(this.stage);
    this.divider.addEventListener('pointerdown', (event) => {
      this.divider.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.divider.focus();
    });
    this.divider.addEventListener('pointermove', (event) => {
      if (!this.divider.hasPointerCapture(event.pointerId)) return;
      const box = this.frame.getBoundingClientRect();
      this.moveTo((100 * (event.clientX - box.left)) / box.width);
    });
    this.divider.addEventListener('keydown', (event) => {
      const moves = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -10, PageUp: 10 };
      const ends = { Home: 0, End: 100 };
      if (event.key in moves) this.moveTo(this.position + moves[event.key]);
      else if (event.key in ends) this.moveTo(ends[event.key]);
      else return;
      event.preventDefault();
    });
    this.drag();
  }

  /** Drag the picture with the mouse; fingers scroll it by themselves. */
  drag() {
    let from = null;
    this.stage.addEventListener('pointerdown', (event) => {
      if (event.pointerType !== 'mouse' || event.button !== 0 || !this.zoomed) return;
      from = [event.clientX + this.stage.scrollLeft, event.clientY + this.stage.scrollTop];
      this.stage.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.stage.addEventListener('pointermove', (event) => {
      if (from) this.stage.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
    });
    for (const end of ['pointerup', 'pointercancel']) this.stage.addEventListener(end, () => (from = null));
  }

  /** Show a picture, and the restored one beside it where there is one; resolves to whether the browser can. */
  async show(beforeUrl, afterUrl) {
    this.afterUrl = afterUrl;
    const [shown, restored] = await Promise.all([
      load(this.before, beforeUrl),
      afterUrl ? load(this.after, afterUrl) : false,
    ]);
    if (this.afterUrl !== afterUrl || this.before.src !== beforeUrl) return shown; // meanwhile there is another one
    this.canvas.hidden = !shown;
    this.after.hidden = !restored;
    this.showPiece(null);
    this.layout();
    return shown;
  }

  /** Show another restored picture of the same size. */
  async swap(afterUrl) {
    this.afterUrl = afterUrl;
    await load(this.after, afterUrl);
  }

  /** Show the divider where there is something to compare with. */
  pair() {
    const is = !this.after.hidden || !this.piece.hidden;
    for (const part of [this.layer, this.divider, ...this.tags]) part.hidden = !is;
    if (!is) this.moveTo(50);
  }

  /** Lay a restored piece { x, y, width, height } over the picture; null takes it away. */
  async showPiece(piece, url = null) {
    this.pieceUrl = url;
    if (piece && !((await load(this.piece, url)) && this.pieceUrl === url)) return;
    this.piece.hidden = !piece;
    if (piece) {
      const { naturalWidth: w, naturalHeight: h } = this.before;
      const { style } = this.piece;
      [style.left, style.width] = [`${(100 * piece.x) / w}%`, `${(100 * piece.width) / w}%`];
      [style.top, style.height] = [`${(100 * piece.y) / h}%`, `${(100 * piece.height) / h}%`];
    }
    this.pair();
    this.clip();
  }

  /** The piece of the picture that is seen, with sides of `most` pixels at most; null where there is no picture. */
  visible(most) {
    const { naturalWidth: w, naturalHeight: h } = this.before;
    if (this.canvas.hidden || !w || !h) return null;
    const [canvas, frame] = [this.canvas.getBoundingClientRect(), this.frame.getBoundingClientRect()];
    const along = (from, to, start, length, pixels, point) => {
      const scale = pixels / length;
      const first = Math.max(0, Math.floor((from - start) * scale));
      const last = Math.min(pixels, Math.ceil((to - start) * scale));
      const side = Math.min(most, last - first);
      const middle = this.zoomed ? (first + last) / 2 : point * pixels;
      return [Math.round(Math.min(last - side, Math.max(first, middle - side / 2))), side];
    };
    const [x, width] = along(frame.left, frame.right, canvas.left, canvas.width, w, this.point[0]);
    const [y, height] = along(frame.top, frame.bottom, canvas.top, canvas.height, h, this.point[1]);
    return { x, y, width, height };
  }

  zoom(full) {
    this.zoomed = full;
    this.layout();
    if (full) {
      const { scrollWidth, scrollHeight, clientWidth, clientHeight } = this.stage;
      this.stage.scrollTo((scrollWidth - clientWidth) / 2, (scrollHeight - clientHeight) / 2);
    }
  }

  layout() {
    const { naturalWidth: w, naturalHeight: h } = this.before;
    if (!w || !h) return;
    const box = this.frame.getBoundingClientRect();
    const fit = Math.min(box.width / w, box.height / h);
    const scale = this.zoomed ? 1 / devicePixelRatio : fit;
    this.canvas.style.width = `${w * scale}px`;
    this.canvas.style.height = `${h * scale}px`;
    this.stage.classList.toggle('zoomed', this.zoomed);
    this.clip();
  }

  moveTo(percent) {
    this.position = Math.min(100, Math.max(0, percent));
    this.clip();
  }

  /** The after picture is seen right of the divider, which stays where it is while the picture scrolls. */
  clip() {
    const frame = this.frame.getBoundingClientRect();
    const canvas = this.canvas.getBoundingClientRect();
    const x = frame.left + (frame.width * this.position) / 100 - canvas.left;
    this.layer.style.clipPath = `inset(0 0 0 ${Math.min(canvas.width, Math.max(0, x))}px)`;
    this.divider.style.left = `${this.position}%`;
    this.divider.setAttribute('aria-valuenow', String(Math.round(this.position)));
  }
}

function load(image, url) {
  return new Promise((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = url;
  });
}
