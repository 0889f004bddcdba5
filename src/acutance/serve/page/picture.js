// One picture of the queue: its file, how far it is, and what became of it.

const SUFFIXES = { PNG: 'png', GIF: 'png', JPEG: 'jpg', WEBP: 'webp', TIFF: 'tif', BMP: 'bmp' };

export class Picture {
  /** States: open, waiting, running, done, failed. */
  constructor(file) {
    this.file = file;
    this.state = 'open';
    this.event = {}; // the last progress of the service
    this.begun = 0;
    this.error = '';
    this.report = null;
    this.saved = null; // the restored file
    this.shown = file; // what a browser can show of the latest state
    this.found = null; // the kernel that was found: { npy, url, side }
    this.steps = []; // of the restoration: { step, saved, shown, url }
    this.page = null; // the report as a file
    this.veil = null; // the address of the map that lies over the result
    this.sidecar = null; // what `acutance repeat` needs, see `repeat.js`
    this.asked = null; // the settings that made the result, likewise
    this.earlier = false; // whether the result is that of a step before the last
    this.seems = null; // what is wrong with it, see `Seems`
    this.guesses = null; // see `Guesses`
    this.abort = null;
    this.strokes = []; // of the mask brush
    this.box = null; // where the blur is seen, { kind, x, y, width, height }, see `Boxes`
    this.size = null; // [width, height], known once there are strokes
    this.urls = [];
    this.beforeUrl = this.url(file);
    this.afterUrl = null;
  }

  get stem() {
    return this.file.name.replace(/\.[^.]*$/, '') || 'picture';
  }

  get busy() {
    return this.state === 'waiting' || this.state === 'running';
  }

  /** What the restored file is called. */
  get savedName() {
    return `${this.stem}-restored.${SUFFIXES[this.report.format]}`;
  }

  url(blob) {
    const made = URL.createObjectURL(blob);
    this.urls.push(made);
    return made;
  }

  /**
   * Take over what the service made. Files: saved; maybe shown, before, kernel, kernelPicture, steps, page, unsupported,
   * sidecar. asked: see `repeat.js`.
   */
  finish(report, files, asked = null) {
    this.drop(this.afterUrl);
    this.drop(this.veil);
    this.veil = files.unsupported ? this.url(files.unsupported) : null;
    Object.assign(this, { page: files.page || null, sidecar: files.sidecar || null, asked, earlier: false });
    for (const { url } of this.steps) this.drop(url);
    this.steps = files.steps.map((entry) => ({ ...entry, url: this.url(entry.shown) }));
    this.report = report;
    this.saved = files.saved;
    this.shown = files.shown || files.saved;
    this.afterUrl = this.url(this.shown);
    if (files.before) {
      this.drop(this.beforeUrl);
      this.beforeUrl = this.url(files.before);
    }
    if (files.kernel) {
      if (this.found) this.drop(this.found.url);
      this.found = { npy: files.kernel, url: this.url(files.kernelPicture), side: report.kernel_side };
    }
    this.state = 'done';
  }

  /** Take one of the steps for the result. */
  choose({ saved, shown, url }) {
    if (!this.steps.some((entry) => entry.url === this.afterUrl)) this.drop(this.afterUrl);
    Object.assign(this, { saved, shown, afterUrl: url, earlier: url !== this.steps.at(-1).url });
  }

  drop(url) {
    if (!url) return;
    URL.revokeObjectURL(url);
    this.urls = this.urls.filter((other) => other !== url);
  }

  close() {
    this.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
  }
}
